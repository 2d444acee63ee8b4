/** Policies that are there from the start. Pure. */

/** May be edited, never deleted; every token has it unless it was made without. */
export const defaultPolicyText = `# Given to every token that was not made without it. It may be edited; the server never changes it again.

# The token itself: what it is, how long it lasts, and its end.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# What it may do, one path at a time or, for user interfaces, all at once.
path "sys/capabilities-self" {
  capabilities = ["update"]
}
path "sys/internal/ui/resultant-acl" {
  capabilities = ["read"]
}

# The entity it belongs to, by id and by name.
path "identity/entity/id/{{identity.entity.id}}" {
  capabilities = ["read"]
}
path "identity/entity/name/{{identity.entity.name}}" {
  capabilities = ["read"]
}

# Leases, for who knows their ids.
path "sys/leases/lookup" {
  capabilities = ["update"]
}
path "sys/leases/renew" {
  capabilities = ["update"]
}
path "sys/renew" {
  capabilities = ["update"]
}

# Storage of its own, which ends with the token.
path "cubbyhole/*" {
  capabilities = ["create", "read", "update", "delete", "list", "scan"]
}

# Wrap something for somebody else; look at a wrapping token, or open it.
path "sys/wrapping/wrap" {
  capabilities = ["update"]
}
path "sys/wrapping/lookup" {
  capabilities = ["update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}

# Hash some data.
path "sys/tools/hash" {
  capabilities = ["update"]
}
path "sys/tools/hash/*" {
  capabilities = ["update"]
}

# How far the approval of a request has come, for who holds its accessor.
path "sys/control-group/request" {
  capabilities = ["update"]
}

# Log in to applications that use this server as their OpenID provider; the provider decides who may.
path "identity/oidc/provider/+/authorize" {
  capabilities = ["read", "update"]
}
`

/** For tokens that hold a wrapped reply: nothing but taking it out. */
const responseWrappingText = `path "cubbyhole/response" {
  capabilities = ["create", "read"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
`

/** For tokens that hold a request which waits for approval: nothing but carrying it out. */
const controlGroupText = `path "cubbyhole/control-group" {
  capabilities = ["create", "read", "update"]
}
path "sys/wrapping/unwrap" {
  capabilities = ["update"]
}
`

/** Given by the system itself only: neither listed nor stored, and never changed. */
export const hiddenPolicies: ReadonlyMap<string, string> = new Map([
  ['response-wrapping', responseWrappingText],
  ['control-group', controlGroupText],
])
