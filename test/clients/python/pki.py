"""Does with hvac what a team does with a CA: a root, an intermediate below it, roles, certificates, revocation. Prints what it
saw as one JSON object; the test beside it judges that.

Arguments: the address and the root token.
"""

import json
import sys

import hvac
from hvac import exceptions


def told(call, *args, **kwargs):
    """The class of the exception that hvac made of the answer, and the server's texts."""
    try:
        call(*args, **kwargs)
    except exceptions.VaultError as error:
        return {"kind": type(error).__name__, "errors": error.errors}
    return None


def authorities(client, seen):
    client.sys.enable_secrets_engine("pki", config={"max_lease_ttl": "87600h"})
    client.sys.enable_secrets_engine("pki", path="below")
    pki = client.secrets.pki
    root = pki.generate_root("internal", "Root", extra_params={"ttl": "8760h", "key_type": "ec"})["data"]
    seen["root"] = root["certificate"]
    asked = pki.generate_intermediate("internal", "Below", extra_params={"key_type": "ec"}, mount_point="below")["data"]
    signed = pki.sign_intermediate(asked["csr"], "Below", extra_params={"ttl": "4380h"})["data"]
    seen["below"] = signed["certificate"]
    pki.set_signed_intermediate(signed["certificate"] + "\n" + root["certificate"], mount_point="below")
    pki.set_urls({"issuing_certificates": [client.url + "/v1/below/ca"]}, mount_point="below")
    seen["urls"] = pki.read_urls(mount_point="below")["data"]["issuing_certificates"] == [client.url + "/v1/below/ca"]
    seen["issuers"] = len(pki.list_issuers(mount_point="below")["data"]["keys"])
    seen["ca"] = pki.read_ca_certificate(mount_point="below") == signed["certificate"]
    seen["chain"] = pki.read_ca_certificate_chain(mount_point="below") == "\n".join([signed["certificate"], root["certificate"]])


def certificates(client, seen):
    pki = client.secrets.pki
    pki.create_or_update_role(
        "web",
        {"allowed_domains": "example.com", "allow_subdomains": True, "max_ttl": "72h", "key_type": "ec"},
        mount_point="below",
    )
    seen["roles"] = pki.list_roles(mount_point="below")["data"]["keys"]
    seen["role"] = pki.read_role("web", mount_point="below")["data"]["allowed_domains"]
    leaf = pki.generate_certificate("web", "a.example.com", extra_params={"ttl": "24h"}, mount_point="below")["data"]
    seen["leaf"] = leaf["certificate"]
    seen["refused"] = told(pki.generate_certificate, "web", "a.example.org", mount_point="below")
    seen["read"] = pki.read_certificate(leaf["serial_number"], mount_point="below")["data"]["certificate"] == leaf["certificate"]
    seen["listed"] = leaf["serial_number"] in pki.list_certificates(mount_point="below")["data"]["keys"]
    pki.revoke_certificate(leaf["serial_number"], mount_point="below")
    pki.rotate_crl(mount_point="below")
    seen["crl"] = pki.read_crl(mount_point="below")
    pki.set_crl_configuration("96h", mount_point="below")
    seen["expiry"] = pki.read_crl_configuration(mount_point="below")["data"]["expiry"]
    seen["tidy"] = pki.tidy({"tidy_cert_store": True}, mount_point="below").status_code
    pki.delete_role("web", mount_point="below")
    seen["gone"] = told(pki.read_role, "web", mount_point="below")


def main():
    address, token = sys.argv[1:]
    client = hvac.Client(url=address, token=token)
    seen = {}
    authorities(client, seen)
    certificates(client, seen)
    print(json.dumps(seen))


main()
