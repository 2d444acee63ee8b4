// Command client does with the Go API client what a program of an organisation does: log in by AppRole, keep and change
// secrets, handle its tokens, meet errors. What it saw goes to standard output as one JSON object; the test beside it
// judges that. The address comes as the first argument, the root token as the second, the unseal key as the third.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/openbao/openbao/api/v2"
)

const policy = `
path "secret/data/team/*" { capabilities = ["create", "read", "update", "patch", "delete"] }
path "secret/metadata/team/*" { capabilities = ["read", "list", "delete"] }
path "secret/undelete/team/*" { capabilities = ["update"] }
path "plain/team/*" { capabilities = ["create", "read", "update", "delete", "list"] }
`

type results map[string]any

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: client ADDRESS ROOT-TOKEN UNSEAL-KEY")
		os.Exit(2)
	}
	seen := results{}
	if err := run(os.Args[1], os.Args[2], os.Args[3], seen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(seen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func newClient(address, token string) (*api.Client, error) {
	config := api.DefaultConfig()
	config.Address = address
	// An answer of 503 is what some steps look for.
	config.MaxRetries = 0
	config.Timeout = 20 * time.Second
	client, err := api.NewClient(config)
	if err != nil {
		return nil, err
	}
	client.SetToken(token)
	return client, nil
}

func run(address, rootToken, unsealKey string, seen results) error {
	root, err := newClient(address, rootToken)
	if err != nil {
		return err
	}
	worker, err := newClient(address, "")
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"health", func() error { return health(root, seen) }},
		{"set up", func() error { return setUp(root, seen) }},
		{"log in", func() error { return logIn(root, worker, seen) }},
		{"people", func() error { return people(root, address, seen) }},
		{"kv 2", func() error { return versioned(worker, seen) }},
		{"kv 1", func() error { return plain(worker, seen) }},
		{"errors", func() error { return refusals(root, worker, seen) }},
		{"tokens", func() error { return tokens(root, seen) }},
		{"sealing", func() error { return sealing(root, unsealKey, seen) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}

func health(root *api.Client, seen results) error {
	health, err := root.Sys().Health()
	if err != nil {
		return err
	}
	seen["health"] = results{"initialized": health.Initialized, "sealed": health.Sealed, "standby": health.Standby, "version": health.Version}
	status, err := root.Sys().SealStatus()
	if err != nil {
		return err
	}
	seen["sealStatus"] = results{"type": status.Type, "sealed": status.Sealed, "t": status.T, "n": status.N}
	return nil
}

func setUp(root *api.Client, seen results) error {
	if err := root.Sys().EnableAuthWithOptions("approle", &api.EnableAuthOptions{Type: "approle"}); err != nil {
		return err
	}
	methods, err := root.Sys().ListAuth()
	if err != nil {
		return err
	}
	seen["authType"] = methods["approle/"].Type
	if err := root.Sys().PutPolicy("team", policy); err != nil {
		return err
	}
	text, err := root.Sys().GetPolicy("team")
	if err != nil {
		return err
	}
	seen["policyIsAsWritten"] = text == policy
	if err := root.Sys().Mount("plain", &api.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}); err != nil {
		return err
	}
	mounts, err := root.Sys().ListMounts()
	if err != nil {
		return err
	}
	seen["mounts"] = results{"plain": mounts["plain/"].Options["version"], "secret": mounts["secret/"].Options["version"]}
	_, err = root.Logical().Write("auth/approle/role/web", map[string]any{
		"token_policies": []string{"team"}, "token_ttl": "1h", "token_max_ttl": "4h", "secret_id_num_uses": 5,
	})
	return err
}

func logIn(root, worker *api.Client, seen results) error {
	role, err := root.Logical().Read("auth/approle/role/web/role-id")
	if err != nil {
		return err
	}
	// The secret id travels wrapped: only who unwraps it first gets it.
	courier, err := root.Clone()
	if err != nil {
		return err
	}
	courier.SetToken(root.Token())
	courier.SetWrappingLookupFunc(func(string, string) string { return "5m" })
	wrapped, err := courier.Logical().Write("auth/approle/role/web/secret-id", nil)
	if err != nil {
		return err
	}
	seen["wrapped"] = results{"ttl": wrapped.WrapInfo.TTL, "path": wrapped.WrapInfo.CreationPath, "data": wrapped.Data}
	unwrapped, err := worker.Logical().Unwrap(wrapped.WrapInfo.Token)
	if err != nil {
		return err
	}
	_, again := worker.Logical().Unwrap(wrapped.WrapInfo.Token)
	seen["unwrappedAgain"] = told(again)
	login, err := worker.Logical().Write("auth/approle/login", map[string]any{
		"role_id": role.Data["role_id"], "secret_id": unwrapped.Data["secret_id"],
	})
	if err != nil {
		return err
	}
	worker.SetToken(login.Auth.ClientToken)
	seen["login"] = results{
		"policies": login.Auth.Policies, "ttl": login.Auth.LeaseDuration, "renewable": login.Auth.Renewable, "role": login.Auth.Metadata["role_name"],
	}
	_, wrong := worker.Logical().Write("auth/approle/login", map[string]any{"role_id": role.Data["role_id"], "secret_id": "wrong"})
	seen["loginWrong"] = told(wrong)
	return nil
}

// people keeps a user, tunes its lock-out, and logs in by name and password.
func people(root *api.Client, address string, seen results) error {
	if err := root.Sys().EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass"}); err != nil {
		return err
	}
	user := map[string]any{"password": "pw-1", "token_policies": []string{"team"}, "token_ttl": "1h"}
	if _, err := root.Logical().Write("auth/userpass/users/bob", user); err != nil {
		return err
	}
	tuning := api.MountConfigInput{UserLockoutConfig: &api.UserLockoutConfigInput{LockoutThreshold: "2", LockoutDuration: "10m"}}
	if err := root.Sys().TuneMount("auth/userpass", tuning); err != nil {
		return err
	}
	person, err := newClient(address, "")
	if err != nil {
		return err
	}
	logIn := func(password string) (*api.Secret, error) {
		return person.Logical().Write("auth/userpass/login/bob", map[string]any{"password": password})
	}
	login, err := logIn("pw-1")
	if err != nil {
		return err
	}
	seen["person"] = results{
		"policies": login.Auth.Policies, "ttl": login.Auth.LeaseDuration, "renewable": login.Auth.Renewable, "user": login.Auth.Metadata["username"],
	}
	_, wrong := logIn("wrong")
	_, again := logIn("wrong")
	_, locked := logIn("pw-1")
	seen["personRefused"] = []any{told(wrong), told(again), told(locked)}
	return nil
}

func versioned(worker *api.Client, seen results) error {
	ctx := context.Background()
	kv := worker.KVv2("secret")
	first, err := kv.Put(ctx, "team/db", map[string]any{"user": "app", "password": "one", "port": 5432})
	if err != nil {
		return err
	}
	second, err := kv.Patch(ctx, "team/db", map[string]any{"password": "two", "port": nil}, api.WithMergeMethod(api.KVMergeMethodPatch))
	if err != nil {
		return err
	}
	seen["versions"] = []int{first.VersionMetadata.Version, second.VersionMetadata.Version}
	current, err := kv.Get(ctx, "team/db")
	if err != nil {
		return err
	}
	seen["patched"] = current.Data
	old, err := kv.GetVersion(ctx, "team/db", 1)
	if err != nil {
		return err
	}
	seen["old"] = old.Data
	_, conflict := kv.Put(ctx, "team/db", map[string]any{"user": "late"}, api.WithCheckAndSet(1))
	seen["conflict"] = told(conflict)
	if err := kv.Delete(ctx, "team/db"); err != nil {
		return err
	}
	deleted, err := kv.Get(ctx, "team/db")
	if err != nil {
		return err
	}
	seen["deleted"] = results{"data": deleted.Data, "marked": !deleted.VersionMetadata.DeletionTime.IsZero()}
	if err := kv.Undelete(ctx, "team/db", []int{2}); err != nil {
		return err
	}
	back, err := kv.Get(ctx, "team/db")
	if err != nil {
		return err
	}
	seen["undeleted"] = back.Data
	list, err := worker.Logical().List("secret/metadata/team/")
	if err != nil {
		return err
	}
	seen["list"] = list.Data["keys"]
	metadata, err := kv.GetMetadata(ctx, "team/db")
	if err != nil {
		return err
	}
	seen["metadata"] = results{"current": metadata.CurrentVersion, "versions": len(metadata.Versions)}
	if err := kv.DeleteMetadata(ctx, "team/db"); err != nil {
		return err
	}
	_, gone := kv.Get(ctx, "team/db")
	seen["gone"] = errors.Is(gone, api.ErrSecretNotFound)
	return nil
}

func plain(worker *api.Client, seen results) error {
	ctx := context.Background()
	kv := worker.KVv1("plain")
	if err := kv.Put(ctx, "team/key", map[string]any{"value": "v1"}); err != nil {
		return err
	}
	got, err := kv.Get(ctx, "team/key")
	if err != nil {
		return err
	}
	list, err := worker.Logical().List("plain/team")
	if err != nil {
		return err
	}
	if err := kv.Delete(ctx, "team/key"); err != nil {
		return err
	}
	_, gone := kv.Get(ctx, "team/key")
	seen["plain"] = results{"data": got.Data, "keys": list.Data["keys"], "gone": errors.Is(gone, api.ErrSecretNotFound)}
	return nil
}

func refusals(root, worker *api.Client, seen results) error {
	_, forbidden := worker.Logical().Read("secret/data/other")
	seen["forbidden"] = told(forbidden)
	_, unknown := root.Logical().Read("nowhere/at/all")
	seen["unknownMount"] = told(unknown)
	missing, err := root.Logical().Read("secret/data/never-written")
	seen["missing"] = results{"secret": missing, "error": told(err)}
	_, invalid := root.Logical().Write("sys/policies/acl/broken", map[string]any{"policy": "path {"})
	seen["invalid"] = told(invalid)
	return nil
}

func tokens(root *api.Client, seen results) error {
	renewable := true
	made, err := root.Auth().Token().Create(&api.TokenCreateRequest{
		Policies: []string{"team"}, TTL: "30m", Metadata: map[string]string{"for": "test"}, Renewable: &renewable, DisplayName: "go",
	})
	if err != nil {
		return err
	}
	token := made.Auth.ClientToken
	looked, err := root.Auth().Token().Lookup(token)
	if err != nil {
		return err
	}
	policies, err := looked.TokenPolicies()
	if err != nil {
		return err
	}
	ttl, err := looked.TokenTTL()
	if err != nil {
		return err
	}
	metadata, err := looked.TokenMetadata()
	if err != nil {
		return err
	}
	renewed, err := root.Auth().Token().Renew(token, 3600)
	if err != nil {
		return err
	}
	if err := root.Auth().Token().RevokeTree(token); err != nil {
		return err
	}
	_, revoked := root.Auth().Token().Lookup(token)
	bearer, err := root.Clone()
	if err != nil {
		return err
	}
	bearer.SetToken(token)
	_, refused := bearer.Auth().Token().LookupSelf()
	seen["token"] = results{
		"policies": policies, "ttlIsInRange": ttl > 29*time.Minute && ttl <= 30*time.Minute, "metadata": metadata,
		"renewed": renewed.Auth.LeaseDuration, "revoked": told(revoked), "refused": told(refused),
	}
	return nil
}

func sealing(root *api.Client, unsealKey string, seen results) error {
	if err := root.Sys().Seal(); err != nil {
		return err
	}
	_, sealed := root.Logical().Read("secret/data/any")
	seen["sealed"] = told(sealed)
	health, err := root.Sys().Health()
	if err != nil {
		return err
	}
	seen["sealedHealth"] = health.Sealed
	status, err := root.Sys().Unseal(unsealKey)
	if err != nil {
		return err
	}
	seen["unsealed"] = !status.Sealed
	_, err = root.Auth().Token().LookupSelf()
	return err
}

// told is what the client made of an answer: the status and the texts, or how else the call ended.
func told(err error) any {
	if err == nil {
		return nil
	}
	var response *api.ResponseError
	if errors.As(err, &response) {
		return results{"status": response.StatusCode, "name": http.StatusText(response.StatusCode), "errors": response.Errors}
	}
	return err.Error()
}
