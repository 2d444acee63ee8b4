/**
 * Passwords as they are kept: argon2id (RFC 9106) of our own making, or a bcrypt hash that was given as such. What made a
 * hash stands beside it, so that later versions may ask for more without losing the ones there are.
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import { bcryptCost, fitsBcrypt, MAX_COST } from './bcrypt.ts'
import { Slots } from './slots.ts'

export type StoredPassword = Argon2Password | { kind: 'bcrypt'; text: string }

interface Argon2Password {
  kind: 'argon2id'
  memory_kib: number
  passes: number
  lanes: number
  /** Base64, as is the hash. */
  salt: string
  hash: string
}

/** 19 MiB and two passes, about 30 ms: the least that OWASP advises for argon2id, since anybody may make us do it. */
const MEMORY_KIB = 19_456
const PASSES = 2
const LANES = 1
const SALT_BYTES = 16
const HASH_BYTES = 32

export const MAX_PASSWORD_BYTES = 4096

/** Two of the four threads of Node's pool: the others are for files. 2 × 19 MiB. */
const AT_ONCE = 2
/** About four seconds' worth. */
const MAX_WAITING = 256

const slots = new Slots({ atOnce: AT_ONCE, maxWaiting: MAX_WAITING })

export async function hashed(password: string): Promise<StoredPassword> {
  const settings = { memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES }
  const salt = randomBytes(SALT_BYTES)
  const hash = await slots.run(() => derive(password, salt, settings))
  return { kind: 'argon2id', ...settings, salt: salt.toString('base64'), hash: hash.toString('base64') }
}

/** @throws ApiError `invalid_request` for a text that is no bcrypt hash */
export function givenHash(text: string): StoredPassword {
  if (bcryptCost(text) === undefined) {
    throw new ApiError('invalid_request', `"password_hash" must be a bcrypt hash of a cost of at most ${MAX_COST}`)
  }
  return { kind: 'bcrypt', text }
}

export async function fits(stored: StoredPassword, password: string): Promise<boolean> {
  if (stored.kind === 'bcrypt') return await slots.run(() => fitsBcrypt(stored.text, password))
  const hash = await slots.run(() => derive(password, Buffer.from(stored.salt, 'base64'), stored))
  return timingSafeEqual(hash, Buffer.from(stored.hash, 'base64'))
}

type Settings = Pick<Argon2Password, 'memory_kib' | 'passes' | 'lanes'>

function derive(password: string, nonce: Buffer, { memory_kib: memory, passes, lanes }: Settings): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parameters = { message: password, nonce, memory, passes, parallelism: lanes, tagLength: HASH_BYTES }
    argon2('argon2id', parameters, (error, hash) => {
      if (error) reject(error)
      else resolve(hash)
    })
  })
}

/** How long a check takes, by what it depends on. */
export function kindOf(stored: StoredPassword): string {
  return stored.kind === 'bcrypt' ? `bcrypt/${bcryptCost(stored.text)}` : usualKind
}

export const usualKind = 'argon2id'

/** A hash of that kind which no password fits, or one that nobody knows: checking it takes as long as checking a real one. */
export function decoyOf(kind: string): StoredPassword {
  if (kind.startsWith('bcrypt/')) {
    const cost = kind.slice('bcrypt/'.length).padStart(2, '0')
    return { kind: 'bcrypt', text: `$2b$${cost}$${'.'.repeat(53)}` }
  }
  const nothing = Buffer.alloc(HASH_BYTES).toString('base64')
  return { kind: 'argon2id', memory_kib: MEMORY_KIB, passes: PASSES, lanes: LANES, salt: nothing, hash: nothing }
}
