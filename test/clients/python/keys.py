"""Replaces the keys of a server and makes a root token with hvac; prints what it saw as one JSON object.

Arguments: the address of a server that was never initialised, and the program that decodes a root token.
"""

import json
import subprocess
import sys

import hvac
from hvac import exceptions

# Of 28 characters, as the tokens of servers of this API are.
PAD = "BMjzW3wAsEzINXCM05Wbas3u9zSl"


def told(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except exceptions.VaultError as error:
        return {"kind": type(error).__name__, "errors": error.errors}
    return None


def opens(client, keys):
    client.sys.seal()
    for key in keys:
        try:
            client.sys.submit_unseal_key(key)
        except exceptions.VaultError:
            client.sys.submit_unseal_key(reset=True)
    return not client.sys.is_sealed()


def main():
    address, program = sys.argv[1:]
    client = hvac.Client(url=address)
    made = client.sys.initialize(secret_shares=3, secret_threshold=2)
    keys = made["keys"]
    client.token = made["root_token"]
    client.sys.submit_unseal_keys(keys[:2])
    seen = {"idle": client.sys.read_rekey_progress()["started"]}
    seen["no_backup"] = told(client.sys.read_backup_keys)

    begun = client.sys.start_rekey(secret_shares=4, secret_threshold=3)
    seen["cancelled"] = client.sys.cancel_rekey().status_code
    begun = client.sys.start_rekey(secret_shares=4, secret_threshold=3)
    done = client.sys.rekey_multi(keys[1:], nonce=begun["nonce"])
    new = done["keys"]
    seen["rekeyed"] = [done["complete"], len(new)]
    seen["old_open"] = opens(client, keys)
    for key in new[1:]:
        client.sys.submit_unseal_key(key)
    seen["new_open"] = not client.sys.is_sealed()

    begun = client.sys.start_rekey(secret_shares=1, secret_threshold=1, require_verification=True)
    done = client.sys.rekey_multi(new[1:], nonce=begun["nonce"])
    last = done["keys"]
    client.sys.cancel_rekey_verify()
    nonce = client.sys.read_rekey_verify_progress()["nonce"]
    seen["verified"] = client.sys.rekey_verify_multi(last, nonce=nonce)["complete"]
    seen["last_open"] = opens(client, last)

    client.sys.start_root_token_generation(otp=PAD)
    status = client.sys.read_root_generation_progress()
    seen["generation"] = [status["started"], status["otp_length"], status["required"]]
    result = client.sys.generate_root(key=last[0], nonce=status["nonce"])
    decoded = subprocess.run(
        [program, "operator", "generate-root", "-address", address, "-tls-skip-verify", "-decode",
         result["encoded_root_token"], "-otp", PAD],
        capture_output=True, text=True, check=True,
    )
    root = hvac.Client(url=address, token=decoded.stdout.strip())
    seen["new_root"] = root.auth.token.lookup_self()["data"]["policies"]
    seen["over"] = client.sys.read_root_generation_progress()["started"]

    before = client.sys.get_encryption_key_status()["data"]["term"]
    client.sys.rotate_encryption_key()
    seen["rotated"] = client.sys.get_encryption_key_status()["data"]["term"] - before
    json.dump(seen, sys.stdout)


main()
