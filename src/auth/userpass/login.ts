/** Log-in, and what a user says when a token of its log-in wants to go on. */
import { cidrsAllow } from '#lib/cidr.ts'
import { type Call, endpoint, type Grant, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import { tokenGrant } from '#sdk/token-fields.ts'
import { decoyFor } from './decoys.ts'
import { fits, MAX_PASSWORD_BYTES } from './passwords.ts'
import { checkedName, refuse, type UserEntry, userKey, username } from './user.ts'

const loginFields = {
  username,
  password: { type: 'string', about: 'Password of the user.', default: '' },
} as const satisfies Fields

type LoginCall = Call<typeof loginFields>

export const loginPath: Path = {
  pattern: 'login/:username',
  about: 'Log in.',
  unauthenticated: true,
  makesLeases: true,
  loginName: ({ data }) => String(data['username']).toLowerCase(),
  operations: { update: endpoint('Log in with a user name and a password.', loginFields, login) },
}

async function login({ mount, data, remoteAddress }: LoginCall): Promise<Reply> {
  const name = checkedName(data.username)
  if (data.password === '') refuse('missing password')
  const user = await prove(mount, name, data.password)
  if (!cidrsAllow(user.token_bound_cidrs, remoteAddress)) {
    const reason = `the user ${JSON.stringify(name)} may not log in from this address`
    throw new ApiError('permission_denied', 'permission denied', { reason })
  }
  const grant: Grant = {
    ...tokenGrant(user),
    displayName: name,
    metadata: { username: name },
    alias: { name },
    renewable: true,
    boundCidrs: user.token_strictly_bind_ip ? [remoteAddress] : user.token_bound_cidrs,
    internal: { username: name },
  }
  return { grant }
}

/** The same work and the same answer whether or not there is such a user: nobody learns from it which names there are. */
async function prove({ storage }: Mount, name: string, password: string): Promise<UserEntry> {
  const user = await storage.get<UserEntry>(userKey(name))
  const decoy = await decoyFor(storage, name)
  // Longer than any password that could be set: wrong for every name alike, without the work.
  const right = Buffer.byteLength(password) <= MAX_PASSWORD_BYTES && (await fits(user?.password ?? decoy, password))
  if (!user) throw invalid('no user has this name', 'unknown')
  if (!right) throw invalid(`wrong password of the user ${JSON.stringify(name)}`, 'known')
  // The check took its time: whoever was deleted, or got another password meanwhile, does not get in by the old one.
  const still = await storage.get<UserEntry>(userKey(name))
  if (!still || JSON.stringify(still.password) !== JSON.stringify(user.password)) {
    throw invalid('the user was changed during the log-in', 'known')
  }
  return still
}

function invalid(reason: string, failedLogin: 'known' | 'unknown'): ApiError {
  return new ApiError('invalid_request', 'invalid username or password', { reason, failedLogin })
}

/** Times are those that the user has now; with other policies than by then the token must be had anew. */
export async function renew({ mount, grant }: { mount: Mount; grant: Grant }): Promise<Grant> {
  const name = grant.internal['username']
  const user = typeof name === 'string' ? await mount.storage.get<UserEntry>(userKey(name)) : undefined
  if (!user) refuse(`user ${JSON.stringify(name)} does not exist during renewal`)
  if (user.token_policies.join() !== grant.policies.join()) refuse('policies have changed, not renewing')
  const { ttlSeconds, maxTtlSeconds, periodSeconds } = tokenGrant(user)
  return { ...grant, ttlSeconds, maxTtlSeconds, periodSeconds }
}
