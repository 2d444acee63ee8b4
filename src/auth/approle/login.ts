/** Log-in, and what a role says when a token that it let in wants to go on. */
import { cidrsAllow } from '#lib/cidr.ts'
import { type Call, endpoint, type Grant, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import { hashesOf } from './hashes.ts'
import { refuse, type RoleEntry, type RoleIdEntry, roleIdKey, roleKey } from './role.ts'
import { isExpired, type SecretEntry, secretKey, spendSecret } from './secrets.ts'
import { tokenGrant } from '#sdk/token-fields.ts'

const loginFields = {
  role_id: { type: 'string', about: 'Which role.', default: '' },
  secret_id: { type: 'string', about: 'A secret id of the role, unless it needs none.', default: '' },
} as const satisfies Fields

export const loginPath: Path = {
  pattern: 'login',
  about: 'Log in.',
  unauthenticated: true,
  loginName: ({ data }) => String(data['role_id']).trim(),
  makesLeases: true,
  operations: { update: endpoint('Log in with a role id and a secret id.', loginFields, login) },
}

/** No role has this name or uuid: what is looked up for an unknown role id, so that it costs the same as a known one. */
const NOBODY = '-'

/** Proven credentials: the role, and the secret id unless the role needs none. */
interface Shown {
  role: Readonly<RoleEntry>
  hash: string
  secret: Readonly<SecretEntry> | undefined
}

async function login({ mount, data, remoteAddress }: Call<typeof loginFields>): Promise<Reply> {
  // Both often come from files, with a line break at the end.
  const roleId = data.role_id.trim()
  const secretId = data.secret_id.trim()
  if (roleId === '') refuse('missing role_id')
  const { role, hash, secret } = await prove(mount, roleId, secretId)
  const boundCidrs = secret && secret.token_bound_cidrs.length > 0 ? secret.token_bound_cidrs : role.token_bound_cidrs
  checkAddress({ role, hash, secret }, boundCidrs, { remoteAddress, secretId })
  if (secret && secret.uses_left > 0) {
    const spent = await spendSecret(mount.storage, role.uuid, hash, mount.clock.now())
    if (!spent) throw invalid(secretId, 'the secret id was used up by another log-in')
  }
  const metadata = { ...secret?.metadata, role_name: role.name }
  const grant: Grant = {
    ...tokenGrant(role),
    displayName: '',
    role: role.name,
    metadata,
    alias: { name: role.role_id, metadata },
    renewable: true,
    boundCidrs: role.token_strictly_bind_ip ? [remoteAddress] : boundCidrs,
    internal: { role_name: role.name },
  }
  return { grant }
}

/** Of whoever logs in with this role id, right or wrong. */
export async function resolveRole({
  mount: { storage },
  path,
  body,
}: {
  mount: Mount
  path: string
  body: Readonly<Record<string, unknown>>
}): Promise<string | undefined> {
  const roleId = body['role_id']
  if (path !== 'login' || typeof roleId !== 'string') return undefined
  const pointer = await storage.getShared<RoleIdEntry>(roleIdKey((await hashesOf(storage)).roleId(roleId.trim())))
  return pointer?.role
}

/**
 * The same reads whatever is right or wrong, and the same answer: nobody learns from it which role ids there are.
 * The store is asked by keyed hashes, so how long a look-up takes says nothing about what was shown.
 */
async function prove({ storage, clock }: Mount, roleId: string, secretId: string): Promise<Shown> {
  const hashes = await hashesOf(storage)
  const pointer = await storage.getShared<RoleIdEntry>(roleIdKey(hashes.roleId(roleId)))
  const stored = await storage.getShared<RoleEntry>(roleKey(pointer?.role ?? NOBODY))
  // The role may have changed between the two reads.
  const role = stored?.role_id === roleId ? stored : undefined
  const uuid = role?.uuid ?? NOBODY
  const hash = hashes.secretId(uuid, secretId)
  const secret = await storage.getShared<SecretEntry>(secretKey(uuid, hash))
  if (role && !role.bind_secret_id) return { role, hash, secret: undefined }
  if (!role) throw invalid(secretId, 'no role has this role id', 'unknown')
  const reason = `of the role ${JSON.stringify(role.name)}`
  if (!secret) throw invalid(secretId, `the secret id is none ${reason}`)
  if (isExpired(secret, clock.now())) throw invalid(secretId, `the secret id ${reason} has expired`)
  return { role, hash, secret }
}

function checkAddress(
  { role, secret }: Shown,
  boundCidrs: readonly string[],
  { remoteAddress, secretId }: { remoteAddress: string; secretId: string },
): void {
  const where =
    secret && !cidrsAllow(secret.cidr_list, remoteAddress)
      ? 'through CIDR restrictions on the secret ID'
      : !cidrsAllow(role.secret_id_bound_cidrs ?? [], remoteAddress)
        ? 'by CIDR restrictions on the role'
        : !cidrsAllow(boundCidrs, remoteAddress)
          ? 'by CIDR restrictions on the token'
          : undefined
  if (where === undefined) return
  const message = `source address ${JSON.stringify(remoteAddress)} unauthorized ${where}`
  // Whoever showed a right secret id may know; with the role id alone it would tell that the role is there.
  throw secret ? new ApiError('invalid_request', message) : invalid(secretId, message)
}

/** Who sent no secret id guessed none: that is told, and counts for nothing. */
function invalid(secretId: string, reason: string, failedLogin: 'known' | 'unknown' = 'known'): ApiError {
  if (secretId === '') return new ApiError('invalid_request', 'missing secret_id', { reason })
  return new ApiError('invalid_request', 'invalid role or secret ID', { reason, failedLogin })
}

/** Times are those that the role has now; policies stay as they were granted. */
export async function renew({ mount, grant }: { mount: Mount; grant: Grant }): Promise<Grant> {
  const name = grant.internal['role_name']
  const role = typeof name === 'string' ? await mount.storage.getShared<RoleEntry>(roleKey(name)) : undefined
  if (!role) refuse(`role ${JSON.stringify(name)} does not exist during renewal`)
  const { ttlSeconds, maxTtlSeconds, periodSeconds } = tokenGrant(role)
  return { ...grant, ttlSeconds, maxTtlSeconds, periodSeconds }
}
