"""Does with hvac what a program of an organisation does: logs in by AppRole, keeps and changes secrets, handles its tokens,
meets errors. Prints what it saw as one JSON object; the test beside it judges that.

Arguments: the address, the root token, the unseal key, and the text of the policy of the role.
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


def health(root, seen):
    seen["health"] = root.sys.read_health_status(method="GET")
    seen["health_head"] = root.sys.read_health_status(method="HEAD").status_code
    seen["seal_status"] = root.sys.read_seal_status()
    seen["initialized"] = root.sys.is_initialized()
    seen["sealed"] = root.sys.is_sealed()


def set_up(root, policy, seen):
    root.sys.enable_auth_method("approle")
    seen["auth_type"] = root.sys.list_auth_methods()["data"]["approle/"]["type"]
    seen["enabled_twice"] = told(root.sys.enable_auth_method, "approle")
    root.sys.create_or_update_policy("team", policy)
    seen["policy_is_as_written"] = root.sys.read_policy("team")["data"]["rules"] == policy
    seen["policies"] = root.sys.list_policies()["data"]["policies"]
    root.sys.enable_secrets_engine("kv", path="plain", options={"version": "1"})
    seen["plain_version"] = root.sys.list_mounted_secrets_engines()["data"]["plain/"]["options"]["version"]
    root.auth.approle.create_or_update_approle(
        "web", token_policies=["team"], token_ttl="1h", token_max_ttl="4h", secret_id_num_uses=5
    )
    seen["roles"] = root.auth.approle.list_roles()["data"]["keys"]
    seen["role"] = root.auth.approle.read_role("web")["data"]


def log_in(root, worker, seen):
    role_id = root.auth.approle.read_role_id("web")["data"]["role_id"]
    # The secret id travels wrapped: only who unwraps it first gets it.
    wrapped = root.auth.approle.generate_secret_id("web", metadata={"host": "h1"}, wrap_ttl="5m")
    seen["wrapped"] = {
        "ttl": wrapped["wrap_info"]["ttl"],
        "path": wrapped["wrap_info"]["creation_path"],
        "data": wrapped["data"],
        "auth": wrapped["auth"],
    }
    token = wrapped["wrap_info"]["token"]
    bearer = hvac.Client(url=root.url, token=token)
    secret_id = bearer.sys.unwrap()["data"]
    seen["secret_id_fields"] = sorted(secret_id)
    seen["unwrapped_again"] = told(bearer.sys.unwrap)
    seen["unwrapped_again_by_root"] = told(root.sys.unwrap, token)
    login = worker.auth.approle.login(role_id, secret_id["secret_id"])
    seen["login"] = login["auth"]
    seen["authenticated"] = worker.is_authenticated()
    seen["login_wrong"] = told(hvac.Client(url=root.url).auth.approle.login, role_id, "wrong")
    seen["secret_id"] = root.auth.approle.read_secret_id("web", secret_id["secret_id"])["data"]
    accessors = root.auth.approle.list_secret_id_accessors("web")["data"]["keys"]
    seen["accessors"] = accessors == [secret_id["secret_id_accessor"]]


def people(root, seen):
    root.sys.enable_auth_method("userpass")
    userpass = root.auth.userpass
    userpass.create_or_update_user("bob", "pw-1", policies=["team"])
    seen["users"] = userpass.list_user()["data"]["keys"]
    seen["user"] = userpass.read_user("bob")["data"]
    person = hvac.Client(url=root.url)
    seen["user_login"] = person.auth.userpass.login("bob", "pw-1")["auth"]
    seen["user_authenticated"] = person.is_authenticated()
    userpass.update_password_on_user("bob", "pw-2")
    seen["user_wrong"] = told(hvac.Client(url=root.url).auth.userpass.login, "bob", "pw-1")
    seen["user_unknown"] = told(hvac.Client(url=root.url).auth.userpass.login, "nobody", "pw-1")
    person.auth.userpass.login("bob", "pw-2")
    userpass.delete_user("bob")
    seen["user_deleted"] = told(hvac.Client(url=root.url).auth.userpass.login, "bob", "pw-2")


def versioned(worker, seen):
    kv = worker.secrets.kv.v2
    first = kv.create_or_update_secret("team/db", {"user": "app", "password": "one", "port": 5432})
    second = kv.patch("team/db", {"password": "two"})
    seen["versions"] = [first["data"]["version"], second["data"]["version"]]
    seen["patched"] = kv.read_secret_version("team/db", raise_on_deleted_version=True)["data"]["data"]
    seen["old"] = kv.read_secret_version("team/db", version=1, raise_on_deleted_version=True)["data"]["data"]
    seen["conflict"] = told(kv.create_or_update_secret, "team/db", {"user": "late"}, cas=1)
    kv.delete_latest_version_of_secret("team/db")
    seen["deleted"] = told(kv.read_secret_version, "team/db", raise_on_deleted_version=True)
    tolerated = kv.read_secret_version("team/db", raise_on_deleted_version=False)
    seen["deleted_marked"] = [tolerated["data"]["data"], tolerated["data"]["metadata"]["deletion_time"] != ""]
    kv.undelete_secret_versions("team/db", [2])
    seen["undeleted"] = kv.read_secret_version("team/db", raise_on_deleted_version=True)["data"]["data"]
    kv.delete_secret_versions("team/db", [1])
    metadata = kv.read_secret_metadata("team/db")["data"]
    seen["metadata"] = {
        "current": metadata["current_version"],
        "deleted": [number for number, each in metadata["versions"].items() if each["deletion_time"]],
    }
    # hvac lists with the method LIST, not with a parameter.
    seen["list"] = kv.list_secrets("team")["data"]["keys"]
    seen["list_again"] = worker.list("secret/metadata/team")["data"]["keys"]
    kv.delete_metadata_and_all_versions("team/db")
    seen["gone"] = told(kv.read_secret_version, "team/db", raise_on_deleted_version=True)


def plain(worker, seen):
    kv = worker.secrets.kv.v1
    kv.create_or_update_secret("team/key", {"value": "v1", "count": 3}, mount_point="plain")
    seen["plain"] = kv.read_secret("team/key", mount_point="plain")["data"]
    seen["plain_list"] = kv.list_secrets("team", mount_point="plain")["data"]["keys"]
    kv.delete_secret("team/key", mount_point="plain")
    seen["plain_gone"] = told(kv.read_secret, "team/key", mount_point="plain")
    seen["plain_empty"] = told(kv.list_secrets, "team", mount_point="plain")


def refusals(root, worker, seen):
    read = worker.secrets.kv.v2.read_secret_version
    seen["forbidden"] = told(read, "other", raise_on_deleted_version=True)
    seen["forbidden_list"] = told(worker.secrets.kv.v2.list_secrets, "")
    seen["missing"] = told(root.secrets.kv.v2.read_secret_version, "never-written", raise_on_deleted_version=True)
    seen["unknown_mount"] = told(root.secrets.kv.v2.read_secret_version, "x", mount_point="nowhere", raise_on_deleted_version=True)
    seen["invalid"] = told(root.sys.create_or_update_policy, "broken", "path {")
    seen["no_token"] = told(hvac.Client(url=root.url).secrets.kv.v2.list_secrets, "")
    stranger = hvac.Client(url=root.url, token="hvs.nobody")
    seen["bad_token"] = told(stranger.auth.token.lookup_self)
    seen["stranger_authenticated"] = stranger.is_authenticated()


def tokens(root, seen):
    made = root.auth.token.create(policies=["team"], ttl="30m", meta={"for": "test"}, display_name="py", num_uses=20)
    token, accessor = made["auth"]["client_token"], made["auth"]["accessor"]
    seen["token"] = made["auth"]
    seen["token_lookup"] = root.auth.token.lookup(token)["data"]
    seen["token_by_accessor"] = root.auth.token.lookup_accessor(accessor)["data"]
    seen["token_listed"] = accessor in root.auth.token.list_accessors()["data"]["keys"]
    seen["token_renewed"] = root.auth.token.renew(token, increment="1h")["auth"]["lease_duration"]
    bearer = hvac.Client(url=root.url, token=token)
    seen["token_renewed_self"] = bearer.auth.token.renew_self(increment="2h")["auth"]["lease_duration"]
    root.auth.token.revoke(token)
    seen["token_refused"] = told(bearer.auth.token.lookup_self)
    seen["token_unknown"] = told(root.auth.token.lookup, token)
    other = root.auth.token.create(policies=["team"], ttl="30m")["auth"]
    root.auth.token.revoke_accessor(other["accessor"])
    seen["token_refused_by_accessor"] = told(hvac.Client(url=root.url, token=other["client_token"]).auth.token.lookup_self)


def sealing(root, unseal_key, seen):
    root.sys.seal()
    seen["is_sealed"] = root.sys.is_sealed()
    seen["sealed_read"] = told(root.secrets.kv.v2.list_secrets, "")
    seen["sealed_health"] = root.sys.read_health_status(method="GET").status_code
    seen["unsealed"] = root.sys.submit_unseal_key(unseal_key)["sealed"]
    seen["root_after_unseal"] = root.is_authenticated()


def main():
    address, root_token, unseal_key, policy = sys.argv[1:]
    root = hvac.Client(url=address, token=root_token)
    worker = hvac.Client(url=address)
    seen = {}
    health(root, seen)
    set_up(root, policy, seen)
    log_in(root, worker, seen)
    people(root, seen)
    versioned(worker, seen)
    plain(worker, seen)
    refusals(root, worker, seen)
    tokens(root, seen)
    sealing(root, unseal_key, seen)
    json.dump(seen, sys.stdout)


main()
