import assert from 'node:assert/strict'
import test from 'node:test'
import { parseHcl } from '#lib/hcl.ts'
import { formatHcl } from './hcl-format.ts'

const messy = `

# Why.
path   "secret/data/*" {capabilities=["read",   "list"]
  min_wrapping_ttl = "1s"   # short


  allowed_parameters = {
"ttl" = ["1h",
  # the usual
 "2h"]
      "*" = []
  }
}
path "a" { capabilities = ["deny"] }
// the end
path "b" {}
text = <<EOT
  stays  as
    it is
EOT
`

const tidy = `# Why.
path "secret/data/*" {
  capabilities     = ["read", "list"]
  min_wrapping_ttl = "1s" # short

  allowed_parameters = {
    "ttl" = [
      "1h",
      # the usual
      "2h",
    ]
    "*" = []
  }
}

path "a" {
  capabilities = ["deny"]
}

// the end
path "b" {}

text = <<EOT
  stays  as
    it is
EOT
`

test('a messy policy becomes tidy, with its comments, and means the same', () => {
  assert.equal(formatHcl(messy), tidy)
  assert.ok(parseHcl(messy).ok)
  assert.ok(parseHcl(tidy).ok)
})

test('what is tidy stays as it is', () => {
  assert.equal(formatHcl(tidy), tidy)
})

test('an empty file stays one, and strings may hold anything', () => {
  assert.equal(formatHcl('').trim(), '')
  const odd = 'path "a{b}=[#,\\"//" {\n  capabilities = ["read"]\n}\n'
  assert.equal(formatHcl(odd), odd)
})
