"""Does with hvac what programs do with the transit engine. Prints what it saw as one JSON object; the test beside it judges
that.

Arguments: the address and the root token.
"""

import base64
import json
import sys

import hvac
from hvac import exceptions


def text(value):
    return base64.b64encode(value.encode()).decode()


def told(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except exceptions.VaultError as error:
        return {"kind": type(error).__name__, "errors": error.errors}
    return None


def encryption(transit, seen):
    transit.create_key("app", exportable=True, allow_plaintext_backup=True)
    seen["keys"] = transit.list_keys()["data"]["keys"]
    sealed = transit.encrypt_data("app", plaintext=text("card number"))["data"]["ciphertext"]
    seen["opened"] = transit.decrypt_data("app", ciphertext=sealed)["data"]["plaintext"]
    items = [{"plaintext": text(str(number))} for number in range(5)]
    many = transit.encrypt_data("app", batch_input=items)["data"]["batch_results"]
    again = transit.decrypt_data("app", batch_input=[{"ciphertext": each["ciphertext"]} for each in many])
    seen["many"] = [base64.b64decode(each["plaintext"]).decode() for each in again["data"]["batch_results"]]
    transit.rotate_key("app")
    seen["rewrapped"] = transit.rewrap_data("app", sealed)["data"]["ciphertext"][:9]
    transit.rotate_key("app")
    # This client takes a minimum for encryption only if it is above that for decryption.
    transit.update_key_configuration("app", min_decryption_version=2, min_encryption_version=3)
    seen["too_old"] = told(transit.decrypt_data, "app", sealed)
    transit.trim_key("app", 2)
    seen["trimmed"] = transit.read_key("app")["data"]["min_available_version"]
    seen["unknown"] = told(transit.encrypt_data, "app", "no base64")


def signatures(transit, seen):
    seen["valid"] = {}
    for kind in ("ed25519", "ecdsa-p256", "rsa-2048"):
        transit.create_key(kind, key_type=kind)
        signature = transit.sign_data(kind, hash_input=text("letter"))["data"]["signature"]
        check = [transit.verify_signed_data(kind, text(word), signature=signature) for word in ("letter", "latter")]
        seen["valid"][kind] = [each["data"]["valid"] for each in check]
    hmac = transit.generate_hmac("app", text("letter"), algorithm="sha2-512")["data"]["hmac"]
    seen["hmac"] = transit.verify_signed_data("app", text("letter"), hmac=hmac, hash_algorithm="sha2-512")["data"]["valid"]
    seen["hash"] = transit.hash_data(text("abc"), algorithm="sha2-256")["data"]["sum"]
    seen["random"] = len(base64.b64decode(transit.generate_random_bytes(n_bytes=17)["data"]["random_bytes"]))


def transport(transit, seen):
    key = transit.generate_data_key("app", key_type="plaintext")["data"]
    seen["data_key"] = transit.decrypt_data("app", key["ciphertext"])["data"]["plaintext"] == key["plaintext"]
    sealed = transit.encrypt_data("app", text("card number"))["data"]["ciphertext"]
    seen["exported"] = list(transit.export_key("app", "encryption-key")["data"]["keys"])
    backup = transit.backup_key("app")["data"]["backup"]
    transit.restore_key(backup, name="copy")
    seen["restored"] = transit.decrypt_data("copy", sealed)["data"]["plaintext"]
    seen["restored_twice"] = told(transit.restore_key, backup, name="copy")
    transit.update_key_configuration("copy", deletion_allowed=True)
    transit.delete_key("copy")
    seen["deleted"] = told(transit.read_key, "copy")


def main(address, root_token):
    seen = {}
    root = hvac.Client(url=address, token=root_token)
    root.sys.enable_secrets_engine("transit")
    encryption(root.secrets.transit, seen)
    signatures(root.secrets.transit, seen)
    transport(root.secrets.transit, seen)
    print(json.dumps(seen))


main(*sys.argv[1:])
