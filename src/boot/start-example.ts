/** A configuration to begin with, for somebody whom `strongroom start` has convinced. */

export const EXAMPLE = 'production-example.hcl'

/** @param folder  of the data that are there */
export function exampleConfiguration(folder: string): string {
  return `# A beginning for production. Copy it to /etc/strongroom/server.hcl, change it, and check it:
#
#   strongroom operator diagnose -config=/etc/strongroom/server.hcl
#   strongroom server -config=/etc/strongroom/server.hcl
#
# A new folder begins empty: strongroom operator init makes its keys, and shows them once. To go on with the data of
# ${folder}, stop "strongroom start" and name that folder here; its unseal-key then belongs
# somewhere else: strongroom operator unseal asks for it after each start.

storage "sqlite" {
  path = "/var/lib/strongroom"
}

listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "/etc/strongroom/tls.crt"
  tls_key_file  = "/etc/strongroom/tls.key"
}

# Besides the ledger, which is always on: a file that a log collector can read.
audit "file" "file" {
  options {
    file_path = "/var/log/strongroom/audit.log"
  }
}
`
}
