/** What the role of these tests may do. For tests only. */
export const teamPolicy = `
path "secret/data/team/*" { capabilities = ["create", "read", "update", "patch", "delete"] }
path "secret/metadata/team/*" { capabilities = ["read", "list", "delete"] }
path "secret/undelete/team/*" { capabilities = ["update"] }
path "secret/delete/team/*" { capabilities = ["update"] }
path "plain/team/*" { capabilities = ["create", "read", "update", "delete", "list"] }
`
