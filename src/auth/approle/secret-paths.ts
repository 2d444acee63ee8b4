/** The paths of secret ids: made, listed, looked at and destroyed, by themselves or by their accessors. */
import { randomBytes } from 'node:crypto'
import { cidrWithin, isCidr } from '#lib/cidr.ts'
import { GO_ZERO_TIME, rfc3339 } from '#lib/time.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { listNames, pageFields } from '#sdk/listing.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { hashesOf } from './hashes.ts'
import { neededRole, refuse, type RoleEntry, roleName } from './role.ts'
import {
  type AccessorEntry,
  accessorPrefix,
  isExpired,
  putSecret,
  removeSecret,
  type SecretEntry,
  secretKey,
} from './secrets.ts'

const MAX_SECRET_ID_BYTES = 4096
const MAX_METADATA_NAMES = 64
const MAX_METADATA_NAME_BYTES = 128
const MAX_METADATA_TEXT_BYTES = 512

const secretIdField = { type: 'string', about: 'The secret id.', default: '' } as const

const generateFields = {
  role_name: roleName,
  metadata: { type: 'pairs', about: 'Names and texts, as JSON: set on the tokens, and told in audit logs in clear.' },
  cidr_list: { type: 'strings', about: 'Address ranges that may use the secret id, within those of the role.' },
  token_bound_cidrs: { type: 'strings', about: 'Address ranges of its tokens, within those of the role.' },
  num_uses: { type: 'integer', about: 'How many log-ins it is good for; 0: no limit. At most what the role says.' },
  ttl: { type: 'duration', about: 'How long it lives; 0: for ever. At most what the role says.' },
} as const satisfies Fields
const customFields = { ...generateFields, secret_id: secretIdField } as const
const listFields = { role_name: roleName, ...pageFields } as const
const secretFields = { role_name: roleName, secret_id: secretIdField } as const
const accessorFields = {
  role_name: roleName,
  secret_id_accessor: { type: 'string', about: 'Accessor of the secret id.', default: '' },
} as const satisfies Fields

type GenerateData = Data<typeof generateFields>

const destroy = endpoint('Destroy a secret id.', secretFields, destroySecret)
const destroyByAccessor = endpoint('Destroy the secret id of an accessor.', accessorFields, destroyAccessor)

export const secretPaths: readonly Path[] = [
  {
    pattern: 'role/:role_name/secret-id',
    about: 'Secret ids of a role.',
    operations: {
      list: endpoint('List the accessors of the secret ids.', listFields, listAccessors),
      update: endpoint('Make a secret id.', generateFields, (call) => register(call, randomId())),
    },
  },
  {
    pattern: 'role/:role_name/custom-secret-id',
    about: 'Secret ids that others made.',
    operations: { update: endpoint('Give the role a secret id of your own.', customFields, registerCustom) },
  },
  {
    pattern: 'role/:role_name/secret-id/lookup',
    operations: { update: endpoint('Tell what is kept with a secret id.', secretFields, lookupSecret) },
  },
  { pattern: 'role/:role_name/secret-id/destroy', operations: { update: destroy, delete: destroy } },
  {
    pattern: 'role/:role_name/secret-id-accessor/lookup',
    operations: {
      update: endpoint('Tell what is kept with the secret id of an accessor.', accessorFields, lookupAccessor),
    },
  },
  {
    pattern: 'role/:role_name/secret-id-accessor/destroy',
    operations: { update: destroyByAccessor, delete: destroyByAccessor },
  },
]

async function listAccessors({ mount, data }: Call<typeof listFields>): Promise<Reply> {
  const role = await neededRole(mount.storage, data.role_name)
  const page = { after: data.after, limit: data.limit }
  return { data: { keys: await listNames(mount.storage, accessorPrefix(role.uuid), page) } }
}

async function registerCustom(call: Call<typeof customFields>): Promise<Reply> {
  // Trimmed as at log-in, else it could never be used.
  const secretId = call.data.secret_id.trim()
  if (secretId === '') refuse('missing secret_id')
  if (Buffer.byteLength(secretId) > MAX_SECRET_ID_BYTES)
    refuse(`secret_id may have at most ${MAX_SECRET_ID_BYTES} bytes`)
  return await register(call, secretId)
}

async function register({ mount, data }: Call<typeof generateFields>, secretId: string): Promise<Reply> {
  const hashes = await hashesOf(mount.storage)
  const accessor = randomId()
  const entry = await mount.storage.transact(async (transaction) => {
    const role = await neededRole(transaction, data.role_name)
    const made = newEntry(mount, role, data, accessor)
    const hash = hashes.secretId(role.uuid, secretId)
    const before = await transaction.get<SecretEntry>(secretKey(role.uuid, hash))
    if (before && !isExpired(before, mount.clock.now())) refuse('SecretID is already registered')
    if (before) removeSecret(transaction, role.uuid, hash, before)
    putSecret(transaction, role.uuid, hash, made)
    return made
  })
  return {
    accessor: entry.accessor,
    data: {
      secret_id: secretId,
      secret_id_accessor: entry.accessor,
      secret_id_num_uses: entry.uses_left,
      secret_id_ttl: entry.ttl_seconds,
    },
  }
}

function newEntry(mount: Mount, role: RoleEntry, data: GenerateData, accessor: string): SecretEntry {
  if (!role.bind_secret_id) refuse('bind_secret_id is not set on the role')
  const numUses = data.num_uses ?? role.secret_id_num_uses
  if (numUses < 0) refuse('num_uses cannot be negative')
  if (role.secret_id_num_uses > 0 && (numUses === 0 || numUses > role.secret_id_num_uses)) {
    refuse("num_uses cannot be higher than the role's secret_id_num_uses")
  }
  const asked = data.ttl ?? role.secret_id_ttl
  if (asked < 0) refuse('ttl cannot be negative')
  if (role.secret_id_ttl > 0 && (asked === 0 || asked > role.secret_id_ttl)) {
    refuse("ttl cannot be longer than the role's secret_id_ttl")
  }
  const ttlSeconds = Math.min(asked, mount.settings().maxLeaseTtlSeconds)
  const nowMs = mount.clock.now().getTime()
  return {
    accessor,
    created_ms: nowMs,
    updated_ms: nowMs,
    expires_ms: ttlSeconds > 0 ? nowMs + ttlSeconds * 1000 : 0,
    ttl_seconds: ttlSeconds,
    uses_left: numUses,
    metadata: checkedMetadata(data.metadata ?? {}),
    cidr_list: rangesWithin(data.cidr_list, role.secret_id_bound_cidrs),
    token_bound_cidrs: rangesWithin(data.token_bound_cidrs, role.token_bound_cidrs),
  }
}

function rangesWithin(ranges: string[] = [], outer: readonly string[] | null): string[] {
  if (ranges.some((range) => !isCidr(range))) refuse('invalid CIDR blocks')
  const outside = outer && outer.length > 0 ? ranges.filter((range) => !cidrWithin(range, outer)) : []
  if (outside.length > 0) {
    const [inner, all] = [ranges, outer!].map((list) => JSON.stringify(list.join(',')))
    refuse(`CIDR blocks on the secret ID ${inner} should be a subset of CIDR blocks on the role ${all}`)
  }
  return ranges
}

/** It becomes metadata of tokens and of identity aliases, whose limits these are. */
function checkedMetadata(metadata: Record<string, string>): Record<string, string> {
  const entries = Object.entries(metadata)
  if (entries.length > MAX_METADATA_NAMES) refuse(`metadata may have at most ${MAX_METADATA_NAMES} names`)
  for (const [name, text] of entries) {
    if (name === '' || Buffer.byteLength(name) > MAX_METADATA_NAME_BYTES) {
      refuse(`a name in metadata must have 1 to ${MAX_METADATA_NAME_BYTES} bytes`)
    }
    if (Buffer.byteLength(text) > MAX_METADATA_TEXT_BYTES) {
      refuse(`a value in metadata may have at most ${MAX_METADATA_TEXT_BYTES} bytes`)
    }
  }
  return metadata
}

async function lookupSecret({ mount, data }: Call<typeof secretFields>): Promise<Reply> {
  const { role, hash } = await namedSecret(mount, data)
  const entry = await mount.storage.get<SecretEntry>(secretKey(role.uuid, hash))
  return entry && !isExpired(entry, mount.clock.now()) ? { data: shown(entry) } : {}
}

async function destroySecret({ mount, data }: Call<typeof secretFields>): Promise<Reply> {
  const { role, hash } = await namedSecret(mount, data)
  await removeNow(mount, role.uuid, hash)
  return {}
}

async function lookupAccessor({ mount, data }: Call<typeof accessorFields>): Promise<Reply> {
  return { data: shown((await accessedSecret(mount, data)).entry) }
}

async function destroyAccessor({ mount, data }: Call<typeof accessorFields>): Promise<Reply> {
  const { role, hash } = await accessedSecret(mount, data)
  await removeNow(mount, role.uuid, hash)
  return {}
}

async function namedSecret(mount: Mount, data: Data<typeof secretFields>): Promise<{ role: RoleEntry; hash: string }> {
  const secretId = data.secret_id.trim()
  if (secretId === '') refuse('missing secret_id')
  const role = await neededRole(mount.storage, data.role_name)
  return { role, hash: (await hashesOf(mount.storage)).secretId(role.uuid, secretId) }
}

/** Only among those of the role: who may look at one role must not reach into another. */
async function accessedSecret(
  { storage, clock }: Mount,
  data: Data<typeof accessorFields>,
): Promise<{ role: RoleEntry; hash: string; entry: SecretEntry }> {
  const { secret_id_accessor: accessor } = data
  if (accessor === '') refuse('missing secret_id_accessor')
  const role = await neededRole(storage, data.role_name)
  // Accessors are UUIDs: anything else would only be a way to odd storage keys.
  const found = /^[0-9a-f-]{36}$/.test(accessor)
    ? await storage.get<AccessorEntry>(accessorPrefix(role.uuid) + accessor)
    : undefined
  const entry = found && (await storage.get<SecretEntry>(secretKey(role.uuid, found.hash)))
  if (!entry || isExpired(entry, clock.now())) {
    throw new ApiError('not_found', `failed to find accessor entry for secret_id_accessor: ${JSON.stringify(accessor)}`)
  }
  return { role, hash: found.hash, entry }
}

async function removeNow({ storage }: Mount, roleUuid: string, hash: string): Promise<void> {
  await storage.transact(async (transaction) => {
    const entry = await transaction.get<SecretEntry>(secretKey(roleUuid, hash))
    if (entry) removeSecret(transaction, roleUuid, hash, entry)
  })
}

function shown(entry: SecretEntry): Record<string, unknown> {
  return {
    cidr_list: entry.cidr_list,
    creation_time: rfc3339(new Date(entry.created_ms)),
    expiration_time: entry.expires_ms === 0 ? GO_ZERO_TIME : rfc3339(new Date(entry.expires_ms)),
    last_updated_time: rfc3339(new Date(entry.updated_ms)),
    metadata: entry.metadata,
    secret_id_accessor: entry.accessor,
    secret_id_num_uses: entry.uses_left,
    secret_id_ttl: entry.ttl_seconds,
    token_bound_cidrs: entry.token_bound_cidrs,
  }
}

/** 128 random bits in the form of a UUID, as secret ids and accessors of this API look. */
function randomId(): string {
  return randomBytes(16)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
