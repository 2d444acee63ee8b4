/** The paths of users: make, read, change, delete, list; password and policies by themselves. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { listNames, pageFields } from '#sdk/listing.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { changedTokenSettings, checkTokenSettings, noTokenSettings } from '#sdk/token-fields.ts'
import { noteKind } from './decoys.ts'
import { givenHash, hashed, MAX_PASSWORD_BYTES, type StoredPassword } from './passwords.ts'
import {
  checkedName,
  nameFields,
  type OldName,
  passwordFields,
  policyFields,
  refuse,
  type UserEntry,
  userFields,
  userKey,
  username,
  userOf,
} from './user.ts'

const ownPasswordFields = { username, ...passwordFields } as const satisfies Fields
const ownPolicyFields = { username, ...policyFields } as const satisfies Fields

type NameCall = Call<typeof nameFields>

export const userPaths: readonly Path[] = [
  { pattern: 'users', operations: { list: endpoint('List the names of the users.', pageFields, listUsers) } },
  {
    pattern: 'users/:username',
    about: 'A user: a password, and what the tokens of its log-ins may do.',
    operations: {
      read: endpoint('Read a user. Passwords are never told.', nameFields, readUser),
      update: endpoint('Make a user, or change what is given of it.', userFields, writeUser),
      delete: endpoint('Delete a user.', nameFields, deleteUser),
    },
    exists: async (call) => (await userOf(call.mount.storage, (call as NameCall).data.username)) !== undefined,
  },
  {
    pattern: 'users/:username/password',
    about: 'The password of a user.',
    operations: { update: endpoint('Replace the password.', ownPasswordFields, writePassword) },
  },
  {
    pattern: 'users/:username/policies',
    about: 'The policies of a user.',
    operations: { update: endpoint('Replace the policies.', ownPolicyFields, writePolicies) },
  },
]

async function listUsers({ mount, data }: Call<typeof pageFields>): Promise<Reply> {
  return { data: { keys: await listNames(mount.storage, 'user/', { after: data.after, limit: data.limit }) } }
}

async function readUser({ mount, data }: NameCall): Promise<Reply> {
  const user = await userOf(mount.storage, data.username)
  if (!user) return {}
  const { name: _name, password: _password, old_names: oldNames, ...shown } = user
  const byOldName = (old: OldName, value: unknown) => oldNames.includes(old) && { [old]: value }
  return {
    data: {
      ...shown,
      ...byOldName('policies', user.token_policies),
      ...byOldName('ttl', user.token_ttl),
      ...byOldName('max_ttl', user.token_max_ttl),
      ...byOldName('bound_cidrs', user.token_bound_cidrs),
    },
  }
}

async function writeUser({ mount, data }: Call<typeof userFields>): Promise<Reply> {
  const name = checkedName(data.username)
  // Before the transaction, which may run more than once and must not last.
  const password = await givenPassword(data)
  await mount.storage.transact(async (transaction) => {
    const before = await userOf(transaction, name)
    const settings = changedTokenSettings(before ?? noTokenSettings, {
      ...data,
      token_policies: data.token_policies ?? data.policies,
      token_ttl: data.token_ttl ?? data.ttl,
      token_max_ttl: data.token_max_ttl ?? data.max_ttl,
      token_bound_cidrs: data.token_bound_cidrs ?? data.bound_cidrs,
    })
    checkTokenSettings(settings)
    const kept = password ?? before?.password ?? refuse('missing password')
    const after: UserEntry = { ...settings, name, password: kept, old_names: oldNames(before, data) }
    await noteKind(transaction, kept)
    transaction.put(userKey(name), after)
  })
  return {}
}

/** The last change of a setting decides whether it goes by its old name too. */
function oldNames(before: UserEntry | undefined, data: Data<typeof userFields>): OldName[] {
  const names = [
    ['policies', 'token_policies'],
    ['ttl', 'token_ttl'],
    ['max_ttl', 'token_max_ttl'],
    ['bound_cidrs', 'token_bound_cidrs'],
  ] as const
  return names
    .filter(([old, current]) =>
      data[current] !== undefined ? false : data[old] !== undefined || (before?.old_names.includes(old) ?? false),
    )
    .map(([old]) => old)
}

/** Undefined when none was given. */
async function givenPassword(data: Data<typeof passwordFields>): Promise<StoredPassword | undefined> {
  const { password, password_hash: hash } = data
  if (password !== undefined && hash !== undefined) {
    refuse('"password" and "password_hash" cannot be supplied together')
  }
  if (hash !== undefined) return givenHash(hash)
  if (password === undefined) return undefined
  if (password === '') refuse('missing password')
  if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES) {
    refuse(`a password has at most ${MAX_PASSWORD_BYTES} bytes`)
  }
  return await hashed(password)
}

async function deleteUser({ mount, data }: NameCall): Promise<Reply> {
  await mount.storage.delete(userKey(checkedName(data.username)))
  return {}
}

async function writePassword({ mount, data }: Call<typeof ownPasswordFields>): Promise<Reply> {
  const name = checkedName(data.username)
  const password = (await givenPassword(data)) ?? refuse('missing password')
  await mount.storage.transact(async (transaction) => {
    const user = (await userOf(transaction, name)) ?? refuse('username does not exist')
    await noteKind(transaction, password)
    transaction.put<UserEntry>(userKey(name), { ...user, password })
  })
  return {}
}

async function writePolicies({ mount, data }: Call<typeof ownPolicyFields>): Promise<Reply> {
  const name = checkedName(data.username)
  const given = data.token_policies ?? data.policies
  await mount.storage.update<UserEntry>(userKey(name), (stored) => {
    const user = stored ?? refuse('username does not exist')
    if (given === undefined) return user
    const others = user.old_names.filter((old) => old !== 'policies')
    return {
      ...user,
      ...changedTokenSettings(user, { token_policies: given }),
      old_names: data.policies === undefined ? others : [...others, 'policies'],
    }
  })
  return {}
}
