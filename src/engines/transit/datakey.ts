/** Fresh keys for those who encrypt themselves: told encrypted with a key from here, and plain to those who may. */
import { randomBytes } from 'node:crypto'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import { bytesOf } from './batch.ts'
import { encryptMessage } from './crypt.ts'
import { associatedField, associatedOf, contextField, keyVersionField } from './encryption.ts'
import { keyNamed, nameField, refuse } from './key.ts'
import { usable } from './use.ts'

const fields = {
  plaintext: { type: 'string', about: 'plaintext, or wrapped for the encrypted key alone.', required: true },
  name: nameField,
  bits: { type: 'integer', about: 'Size of the fresh key: 128, 256 or 512 bits.', default: 256 },
  context: contextField,
  associated_data: associatedField,
  key_version: keyVersionField,
} as const satisfies Fields

export const datakeyPath: Path = {
  pattern: 'datakey/:plaintext/:name',
  computesOnly: true,
  about: 'Keys for encrypting elsewhere.',
  operations: { update: endpoint('Make a key.', fields, makeDataKey) },
}

async function makeDataKey({ mount, data }: Call<typeof fields>): Promise<Reply> {
  const shown = data.plaintext === 'plaintext'
  if (!shown && data.plaintext !== 'wrapped') refuse("Invalid path, must be 'plaintext' or 'wrapped'")
  if (data.bits !== 128 && data.bits !== 256 && data.bits !== 512) refuse('invalid bit length')
  const key = usable(await keyNamed(mount.storage, data.name), 'encryption key not found')
  const message = {
    context: bytesOf(data, 'context'),
    associated: associatedOf(key, data, 0),
    keyVersion: data.key_version,
  }
  const fresh = randomBytes(data.bits / 8)
  const { ciphertext, version } = await encryptMessage(mount, key, fresh, message)
  const plaintext = fresh.toString('base64')
  fresh.fill(0)
  return { data: { ciphertext, key_version: version, ...(shown && { plaintext }) } }
}
