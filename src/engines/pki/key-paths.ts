/** `keys`, `key/:key_ref` and `config/keys`: the private keys, as far as they can be looked at. */
import { keyIdentifier } from '#lib/x509/algorithms.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import { listNames, pageFields } from '#sdk/listing.ts'
import type { Fields } from '#sdk/schema.ts'
import type { StorageTransaction } from '#sdk/storage.ts'
import { colons } from './serials.ts'
import { allIssuers } from './issuer-store.ts'
import {
  checkKeyName,
  deleteKey,
  generateKey,
  type KeyConfig,
  type KeyEntry,
  type Pointer,
  putKey,
  refuse,
  resolveKey,
} from './key-store.ts'
import { privateKeyText } from './output.ts'

const keyRef = { type: 'string', about: 'Key: `default`, a name or an id.', required: true } as const
const refFields = { key_ref: keyRef } as const satisfies Fields
const updateFields = {
  key_ref: keyRef,
  key_name: { type: 'string', about: 'New name of the key.', default: '' },
} as const satisfies Fields
const generateFields = {
  exported: { type: 'string', about: 'internal, or exported to be shown once.', required: true },
  key_name: { type: 'string', about: 'Name of the key.', default: '' },
  key_type: { type: 'string', about: 'rsa, ec or ed25519.', default: 'rsa' },
  key_bits: { type: 'integer', about: 'Bits of the key; 0: what the type usually has.', default: 0 },
} as const satisfies Fields
const configFields = {
  default: { type: 'string', about: 'Key that is taken where none is named.', default: '' },
} as const satisfies Fields

export const keyPaths: readonly Path[] = [
  { pattern: 'keys', readsOnly: true, operations: { list: endpoint('List keys.', pageFields, listKeys) } },
  {
    pattern: 'keys/generate/:exported',
    operations: { update: endpoint('Make a key.', generateFields, makeKey) },
  },
  {
    pattern: 'key/:key_ref',
    readsOnly: true,
    operations: {
      read: endpoint('Look at a key.', refFields, readKey),
      update: endpoint('Rename a key.', updateFields, renameKey),
      delete: endpoint('Delete a key.', refFields, removeKey),
    },
  },
  {
    pattern: 'config/keys',
    operations: {
      read: endpoint('Read which key is the default.', {}, async ({ mount }) => ({
        data: { default: (await mount.storage.get<KeyConfig>('config/keys'))?.default ?? '' },
      })),
      update: endpoint('Set which key is the default.', configFields, setDefault),
    },
  },
]

async function listKeys({ mount, data }: Call<typeof pageFields>): Promise<Reply> {
  const keys = await listNames(mount.storage, 'key/', data)
  const config = await mount.storage.get<KeyConfig>('config/keys')
  const info: Record<string, unknown> = {}
  for (const id of keys) {
    const entry = await mount.storage.getShared<KeyEntry>(`key/${id}`)
    if (entry) info[id] = { key_name: entry.name, is_default: id === config?.default }
  }
  return { data: { keys, key_info: info } }
}

async function makeKey({ mount, data }: Call<typeof generateFields>): Promise<Reply> {
  if (data.exported === 'kms') refuse('managed keys are not supported by this server')
  if (data.exported !== 'internal' && data.exported !== 'exported') {
    throw new ApiError('not_found', oneError('unsupported path'))
  }
  await checkKeyName(mount.storage, data.key_name)
  const key = await generateKey(data.key_type, data.key_bits)
  const { entry } = await mount.storage.transact((transaction) => putKey(transaction, key, data.key_name))
  const shown = { key_id: entry.id, key_name: entry.name, key_type: entry.type }
  if (data.exported === 'internal') return { data: shown }
  return { data: { ...shown, private_key: privateKeyText(key, entry.type, 'der', 'pem') } }
}

async function readKey({ mount, data }: Call<typeof refFields>): Promise<Reply> {
  const entry = await keyEntry(mount, data.key_ref)
  return {
    data: {
      key_id: entry.id,
      key_name: entry.name,
      key_type: entry.type,
      subject_key_id: colons(keyIdentifier(Buffer.from(entry.public_key, 'base64')).toString('hex')),
    },
  }
}

async function keyEntry({ storage }: Mount, ref: string): Promise<KeyEntry> {
  const entry = await storage.get<KeyEntry>(`key/${await resolveKey(storage, ref)}`)
  return entry ?? refuse(`unable to find PKI key for reference: ${ref}`)
}

async function renameKey({ mount, data }: Call<typeof updateFields>): Promise<Reply> {
  const entry = await mount.storage.transact(async (transaction) => {
    const before = await entryIn(transaction, data.key_ref)
    if (before.name === data.key_name) return before
    await checkKeyName(transaction, data.key_name)
    const after = { ...before, name: data.key_name }
    transaction.put<KeyEntry>(`key/${before.id}`, after)
    if (before.name !== '') transaction.delete(`key-name/${before.name}`)
    if (after.name !== '') transaction.put<Pointer>(`key-name/${after.name}`, { id: after.id })
    return after
  })
  return { data: { key_id: entry.id, key_name: entry.name, key_type: entry.type } }
}

async function entryIn(transaction: StorageTransaction, ref: string): Promise<KeyEntry> {
  const entry = await transaction.get<KeyEntry>(`key/${await resolveKey(transaction, ref)}`)
  return entry ?? refuse(`unable to find PKI key for reference: ${ref}`)
}

async function removeKey({ mount, data }: Call<typeof refFields>): Promise<Reply> {
  const { id, wasDefault } = await mount.storage.transact(async (transaction) => {
    const entry = await entryIn(transaction, data.key_ref)
    const user = (await allIssuers(transaction)).find((each) => each.key_id === entry.id)
    if (user) refuse(`Failed to Delete Key.  Key in Use by Issuer: ${user.id}`)
    return { id: entry.id, wasDefault: await deleteKey(transaction, entry) }
  })
  if (!wasDefault) return {}
  return {
    warnings: [
      `Deleted key ${id} (via key_ref ${data.key_ref}); this was configured as the default key. Operations without an explicit key will not work until a new default is configured.`,
    ],
  }
}

async function setDefault({ mount, data }: Call<typeof configFields>): Promise<Reply> {
  if (data.default === '' || data.default === 'default')
    refuse("Invalid key specification; must be non-empty and can't be 'default'.")
  const id = await mount.storage.transact(async (transaction) => {
    const resolved = await resolveKey(transaction, data.default)
    transaction.put<KeyConfig>('config/keys', { default: resolved })
    return resolved
  })
  return { data: { default: id } }
}
