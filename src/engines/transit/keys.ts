/** The paths of keys: making, reading, listing, deleting, and their settings. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { listNames, pageFields } from '#sdk/listing.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { bytesOf } from './batch.ts'
import { makeKey, rotateKey } from './create.ts'
import { keyInfo } from './info.ts'
import {
  changeKey,
  checkedName,
  type KeyEntry,
  keyNamed,
  keyPath,
  nameField,
  oldestVersion,
  refuse,
  removeKey,
  versionPath,
} from './key.ts'
import { typeNamed } from './types.ts'

const MIN_ROTATE_SECONDS = 3600

const nameFields = { name: nameField } as const satisfies Fields
const readFields = {
  name: nameField,
  context: { type: 'string', about: 'Context for derived keys, in base64.', default: '', query: true },
} as const satisfies Fields
const createFields = {
  name: nameField,
  type: { type: 'string', about: 'What the key works with.', default: 'aes256-gcm96' },
  derived: { type: 'boolean', about: 'Whether each use derives a key of its own from a context.', default: false },
  convergent_encryption: {
    type: 'boolean',
    about: 'Whether the same message in the same context gives the same ciphertext.',
    default: false,
  },
  exportable: { type: 'boolean', about: 'Whether the key may be exported; cannot be taken back.', default: false },
  allow_plaintext_backup: {
    type: 'boolean',
    about: 'Whether the key may be backed up; cannot be taken back.',
    default: false,
  },
  context: { type: 'string', about: 'Context for the public keys of the answer, in base64.', default: '' },
  auto_rotate_period: {
    type: 'duration',
    about: 'How often the key gets a new version by itself; 0: never.',
    default: 0,
  },
  key_size: { type: 'integer', about: 'Size of an HMAC key in bytes; 0: 32.', default: 0 },
} as const satisfies Fields
const configFields = {
  name: nameField,
  min_decryption_version: { type: 'integer', about: 'Oldest version that may decrypt and verify.' },
  min_encryption_version: { type: 'integer', about: 'Oldest version that may encrypt and sign; 0: the latest.' },
  deletion_allowed: { type: 'boolean', about: 'Whether the key may be deleted.' },
  exportable: { type: 'boolean', about: 'Whether the key may be exported; cannot be taken back.' },
  allow_plaintext_backup: { type: 'boolean', about: 'Whether the key may be backed up; cannot be taken back.' },
  auto_rotate_period: { type: 'duration', about: 'How often the key gets a new version by itself; 0: never.' },
} as const satisfies Fields
const trimFields = {
  name: nameField,
  min_available_version: { type: 'integer', about: 'Versions before this one are removed for good.', default: 0 },
} as const satisfies Fields

export const keyPaths: readonly Path[] = [
  {
    pattern: 'keys',
    readsOnly: true,
    about: 'The keys of this mount.',
    operations: { list: endpoint('List the names of the keys.', pageFields, listKeys) },
  },
  {
    pattern: 'keys/:name',
    readsOnly: true,
    about: 'A key.',
    operations: {
      read: endpoint('Read the settings and public parts of a key.', readFields, readKey),
      update: endpoint('Make a key.', createFields, createKey),
      delete: endpoint('Delete a key with all its versions.', nameFields, deleteKey),
    },
  },
  {
    pattern: 'keys/:name/config',
    about: 'Settings of a key.',
    operations: { update: endpoint('Change the settings that are given.', configFields, configureKey) },
  },
  {
    pattern: 'keys/:name/rotate',
    about: 'Versions of a key.',
    operations: { update: endpoint('Add a version, which is used from now on.', nameFields, rotate) },
  },
  {
    pattern: 'keys/:name/trim',
    about: 'Versions that are not needed any more.',
    operations: { update: endpoint('Remove the oldest versions.', trimFields, trimKey) },
  },
  {
    pattern: 'keys/:name/soft-delete',
    about: 'A key that is put away and can be brought back.',
    operations: { delete: endpoint('Put a key away.', nameFields, (call) => putAway(call, true)) },
  },
  {
    pattern: 'keys/:name/soft-delete-restore',
    about: 'A key that was put away.',
    operations: { update: endpoint('Bring a key back.', nameFields, (call) => putAway(call, false)) },
  },
]

type NameCall = Call<typeof nameFields>

async function listKeys({ mount, data }: Call<typeof pageFields>): Promise<Reply> {
  return { data: { keys: await listNames(mount.storage, 'key/', { after: data.after, limit: data.limit }) } }
}

async function readKey({ mount, data }: Call<typeof readFields>): Promise<Reply> {
  const key = await keyNamed(mount.storage, data.name)
  if (!key) return {}
  return { data: await keyInfo(mount, data.name, key, bytesOf(data, 'context')) }
}

async function createKey({ mount, data }: Call<typeof createFields>): Promise<Reply> {
  if (!data.derived && data.convergent_encryption) {
    refuse('convergent encryption requires derivation to be enabled')
  }
  const type = typeNamed(data.type)
  if (data.key_size !== 0 && type !== 'hmac') refuse(`key_size is not valid for algorithm ${data.type}`)
  const { key, made } = await makeKey(mount, data.name, {
    type,
    derived: data.derived,
    convergent: data.convergent_encryption,
    exportable: data.exportable,
    allowPlaintextBackup: data.allow_plaintext_backup,
    autoRotateSeconds: checkedPeriod(data.auto_rotate_period),
    keySize: data.key_size,
  })
  const shown = await keyInfo(mount, data.name, key, bytesOf(data, 'context'))
  return made ? { data: shown } : { data: shown, warnings: [`key ${data.name} already existed`] }
}

export function checkedPeriod(seconds: number): number {
  if (seconds === 0 || seconds >= MIN_ROTATE_SECONDS) return seconds
  refuse('auto rotate period must be 0 to disable or at least an hour')
}

async function deleteKey({ mount, data }: NameCall): Promise<Reply> {
  const failed = (why: string) => refuse(`error deleting policy ${data.name}: ${why}`)
  const path = keyPath(checkedName(data.name))
  await mount.storage.transact(async (transaction) => {
    const key = (await transaction.get<KeyEntry>(path)) ?? failed('could not delete key; not found')
    if (!key.deletion_allowed) failed('deletion is not allowed for this policy')
    removeKey(transaction, data.name, key)
  })
  return {}
}

const noSuchKey = (name: string) => () =>
  new ApiError('invalid_request', `no existing key named ${name} could be found`)

async function configureKey({ mount, data }: Call<typeof configFields>): Promise<Reply> {
  const { name } = data
  let warnings: string[] = []
  const key = await changeKey(mount, name, noSuchKey(name), (stored) => {
    const { key: changed, warnings: told } = configured(stored, data)
    warnings = told
    return changed
  })
  return { data: await keyInfo(mount, name, key), ...(warnings.length > 0 && { warnings }) }
}

function configured(key: KeyEntry, given: Data<typeof configFields>): { key: KeyEntry; warnings: string[] } {
  const warnings: string[] = []
  let { min_decryption_version: decryption, min_encryption_version: encryption } = { ...key, ...defined(given) }
  if (decryption < 0) refuse('min decryption version cannot be negative')
  if (decryption === 0) {
    decryption = 1
    warnings.push('since Vault 0.3, transit key numbering starts at 1; forcing minimum to 1')
  }
  const latest = key.latest_version
  if (decryption > latest) {
    refuse(`cannot set min decryption version of ${decryption}, latest key version is ${latest}`)
  }
  if (encryption < 0) refuse('min encryption version cannot be negative')
  if (encryption > latest) {
    refuse(`cannot set min encryption version of ${encryption}, latest key version is ${latest}`)
  }
  if (encryption > 0 && encryption < decryption) {
    refuse(
      `cannot set min encryption/decryption values; min encryption version of ${encryption} must be greater than or ` +
        `equal to min decryption version of ${decryption}`,
    )
  }
  if (decryption < key.min_available_version) {
    refuse('cannot set min decryption version lower than the minimum available version')
  }
  const period = given.auto_rotate_period
  return {
    warnings,
    key: {
      ...key,
      min_decryption_version: decryption,
      min_encryption_version: encryption,
      deletion_allowed: given.deletion_allowed ?? key.deletion_allowed,
      exportable: key.exportable || given.exportable === true,
      allow_plaintext_backup: key.allow_plaintext_backup || given.allow_plaintext_backup === true,
      auto_rotate_period_seconds: period === undefined ? key.auto_rotate_period_seconds : checkedPeriod(period),
    },
  }
}

function defined(given: Data<typeof configFields>): Partial<KeyEntry> {
  const { min_decryption_version: decryption, min_encryption_version: encryption } = given
  return {
    ...(decryption !== undefined && { min_decryption_version: decryption }),
    ...(encryption !== undefined && { min_encryption_version: encryption }),
  }
}

async function rotate({ mount, data }: NameCall): Promise<Reply> {
  const key = await rotateKey(mount, data.name, () => new ApiError('invalid_request', 'key not found'))
  return { data: await keyInfo(mount, data.name, key) }
}

async function trimKey({ mount, data }: Call<typeof trimFields>): Promise<Reply> {
  const { name, min_available_version: oldest } = data
  const missing = () => new ApiError('invalid_request', 'invalid key name')
  const key = await changeKey(mount, name, missing, (stored, transaction) => {
    if (oldest < stored.min_available_version) refuse('minimum available version cannot be decremented')
    if (stored.min_encryption_version === 0) {
      refuse('minimum available version cannot be set when minimum encryption version is not set')
    }
    if (stored.min_decryption_version === 0) {
      refuse('minimum available version cannot be set when minimum decryption version is not set')
    }
    if (oldest > stored.min_encryption_version) {
      refuse('minimum available version cannot be set higher than minimum encryption version')
    }
    if (oldest > stored.min_decryption_version) {
      refuse('minimum available version cannot be set higher than minimum decryption version')
    }
    if (oldest < 0) refuse('minimum available version cannot be negative')
    if (oldest === 0) refuse('minimum available version should be positive')
    const first = oldestVersion(stored)
    for (let version = first; version < oldest; version++) transaction.delete(versionPath(stored.id, version))
    return {
      ...stored,
      min_available_version: oldest,
      created: stored.created.slice(Math.max(0, oldest - first)),
    }
  })
  return { data: await keyInfo(mount, name, key) }
}

async function putAway({ mount, data }: NameCall, away: boolean): Promise<Reply> {
  await changeKey(mount, data.name, noSuchKey(data.name), (stored) => ({ ...stored, soft_deleted: away }))
  return {}
}
