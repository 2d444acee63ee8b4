import assert from 'node:assert/strict'
import test from 'node:test'
import { asSecret, newSecret, packed, type SecretEntry } from './secret.ts'

const first: SecretEntry = {
  ...newSecret(1000),
  current_version: 1,
  versions: [[1000, 0, 0]],
  data: { password: 'x' },
}

test('a secret with nothing unusual is stored as its data and little else, and read as what it was', () => {
  assert.deepEqual(packed(first), {
    created_ms: 1000,
    current_version: 1,
    versions: [[1000, 0, 0]],
    data: { password: 'x' },
  })
  assert.deepEqual(asSecret(packed(first)), first)
})

test('whatever is unusual is kept', () => {
  const changed: SecretEntry = {
    created_ms: 1000,
    updated_ms: 3000,
    metadata_version: 2,
    max_versions: 5,
    cas_required: true,
    metadata_cas_required: true,
    delete_version_after_seconds: -1,
    custom_metadata: { owner: 'mara' },
    owner: 'team',
    expires_ms: 5000,
    last: { kind: 'destroy' },
    oldest_version: 1,
    current_version: 2,
    versions: [
      [1000, 2000, 1],
      [3000, 0, 0],
    ],
    data: {},
  }
  assert.deepEqual(packed(changed), changed)
  assert.deepEqual(asSecret(packed(changed)), changed)
})

test('a secret stored with all its members is read as well, and one without data has none', () => {
  assert.deepEqual(asSecret(first), first)
  const { data: _, ...without } = first
  assert.equal('data' in asSecret(packed(without)), false)
})
