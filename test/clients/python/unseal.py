"""Initialises and unseals a server over TLS with hvac, as test suites of clients do; prints what it saw as JSON.

Arguments: the address, the file of the authority, and the files of the client's certificate and key.
"""

import json
import sys

import hvac
import requests
from hvac import exceptions


def told(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except exceptions.VaultError as error:
        return {"kind": type(error).__name__, "errors": error.errors}
    return None


def main():
    address, authority, certificate, key = sys.argv[1:]
    client = hvac.Client(url=address, verify=authority, cert=(certificate, key))
    seen = {"initialized_before": client.sys.is_initialized()}
    seen["health_before"] = client.sys.read_health_status(method="GET").status_code
    seen["health_before_asked"] = client.sys.read_health_status(
        method="GET", uninit_code=242
    ).status_code
    made = client.sys.initialize(secret_shares=5, secret_threshold=3)
    keys = made["keys_base64"]
    seen["shares"] = [len(made["keys"]), len(set(keys))]
    seen["initialized_twice"] = told(client.sys.initialize, secret_shares=5, secret_threshold=3)
    client.token = made["root_token"]
    seen["sealed"] = client.sys.is_sealed()
    seen["sealed_health"] = client.sys.read_health_status(method="GET").status_code
    seen["sealed_read"] = told(client.sys.list_mounted_secrets_engines)
    first = client.sys.submit_unseal_key(keys[0])
    seen["first"] = [first["sealed"], first["t"], first["n"], first["progress"], first["nonce"] != ""]
    again = client.sys.submit_unseal_key(keys[0])
    seen["same_again"] = again["progress"]
    seen["reset"] = client.sys.submit_unseal_key(reset=True)["progress"]
    seen["no_share"] = told(client.sys.submit_unseal_key, "not a share")
    # Hexadecimal and base64 are both taken; any three shares do.
    client.sys.submit_unseal_key(made["keys"][4])
    last = client.sys.submit_unseal_keys([keys[1], keys[3]])
    seen["last"] = [last["sealed"], last["progress"]]
    seen["root"] = client.auth.token.lookup_self()["data"]["policies"]
    seen["lease"] = client.sys.read_mount_configuration("cubbyhole")["data"]["default_lease_ttl"]
    seen["no_authority"] = refused(lambda: hvac.Client(url=address, cert=(certificate, key)).sys.is_sealed())
    seen["no_certificate"] = refused(lambda: hvac.Client(url=address, verify=authority).sys.is_sealed())
    json.dump(seen, sys.stdout)


def refused(call):
    """Whether the connection itself did not come about."""
    try:
        call()
    except requests.exceptions.ConnectionError:
        return True
    return False


main()
