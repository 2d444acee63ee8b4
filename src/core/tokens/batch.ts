/**
 * Batch tokens: `hvb.` and the whole entry of the token, encrypted (AES-256-GCM), so that nothing is stored for them.
 * They cannot be revoked one by one: they end by themselves, or with the parent named inside.
 *
 * Stored: batch/<term> → the key of that term. Nonces are random, which bounds what one key may encrypt (NIST SP 800-38D
 * §8.3: 2^32); a new key every day keeps far below that at any rate one installation reaches. Old keys stay, since a
 * token says itself when it ends.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { Storage } from '#sdk/storage.ts'
import type { TokenEntry } from './token.ts'

export const BATCH_PREFIX = 'hvb.'
const FORMAT = 1
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Format, then the term. */
const HEADER_BYTES = 5
const KEY_LIFE_MS = 24 * 3600 * 1000
/** So that a stranger's tokens cannot make us ask the store about every term there could be. */
const MAX_TERMS = 100_000
export const MAX_BATCH_BYTES = 8192

interface KeyEntry {
  key: string
  made_at_ms: number
}

interface Key {
  term: number
  bytes: Buffer
  madeAtMs: number
}

export class BatchTokens {
  readonly #storage: Storage
  readonly #keys = new Map<number, Key>()
  #newest: Key | undefined

  constructor(storage: Storage) {
    this.#storage = storage
  }

  forget(): void {
    this.#keys.clear()
    this.#newest = undefined
  }

  /** @throws ApiError `invalid_request` for an entry too large to be carried in a header */
  async seal(entry: TokenEntry, nowMs: number): Promise<string> {
    const key = await this.#current(nowMs)
    const header = headerOf(key.term)
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(header)
    const parts = [header, nonce, cipher.update(JSON.stringify(entry), 'utf8'), cipher.final(), cipher.getAuthTag()]
    const text = BATCH_PREFIX + Buffer.concat(parts).toString('base64url')
    if (text.length > MAX_BATCH_BYTES)
      throw new ApiError('invalid_request', 'batch token is too large: it has too much metadata or too many policies')
    return text
  }

  /** The entry inside, or undefined for what was not made here or was changed on its way. */
  async open(text: string): Promise<TokenEntry | undefined> {
    const bytes = Buffer.from(text.slice(BATCH_PREFIX.length), 'base64url')
    if (bytes.length < HEADER_BYTES + NONCE_BYTES + TAG_BYTES || bytes[0] !== FORMAT) return undefined
    // What Buffer skips would give one token many texts, each of them another one to the audit and to quotas.
    if (bytes.toString('base64url') !== text.slice(BATCH_PREFIX.length)) return undefined
    const key = await this.#key(bytes.readUInt32BE(1))
    if (!key) return undefined
    const nonceEnd = HEADER_BYTES + NONCE_BYTES
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(HEADER_BYTES, nonceEnd), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(bytes.subarray(0, HEADER_BYTES))
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    const plain = [decipher.update(bytes.subarray(nonceEnd, -TAG_BYTES))]
    try {
      plain.push(decipher.final())
    } catch {
      // The tag does not fit: not ours. To the caller that is a token like any other unknown one.
      return undefined
    }
    return JSON.parse(Buffer.concat(plain).toString('utf8')) as TokenEntry
  }

  async #current(nowMs: number): Promise<Key> {
    if (this.#newest && nowMs - this.#newest.madeAtMs < KEY_LIFE_MS) return this.#newest
    const newest = await this.#storage.transact(async (transaction) => {
      const last = (await transaction.keys('batch/', { limit: MAX_TERMS })).at(-1)
      const stored = last === undefined ? undefined : await transaction.get<KeyEntry>(last)
      if (last !== undefined && stored && nowMs - stored.made_at_ms < KEY_LIFE_MS) return { name: last, entry: stored }
      const name = keyName(last === undefined ? 1 : termOf(last) + 1)
      const entry: KeyEntry = { key: randomBytes(KEY_BYTES).toString('base64'), made_at_ms: nowMs }
      transaction.put(name, entry)
      return { name, entry }
    })
    return (this.#newest = this.#keep(termOf(newest.name), newest.entry))
  }

  async #key(term: number): Promise<Key | undefined> {
    const kept = this.#keys.get(term)
    if (kept || term === 0 || term > MAX_TERMS) return kept
    const stored = await this.#storage.get<KeyEntry>(keyName(term))
    return stored && this.#keep(term, stored)
  }

  #keep(term: number, entry: KeyEntry): Key {
    const key = { term, bytes: Buffer.from(entry.key, 'base64'), madeAtMs: entry.made_at_ms }
    this.#keys.set(term, key)
    return key
  }
}

function headerOf(term: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header[0] = FORMAT
  header.writeUInt32BE(term, 1)
  return header
}

function keyName(term: number): string {
  return `batch/${String(term).padStart(6, '0')}`
}

function termOf(name: string): number {
  return Number(name.slice('batch/'.length))
}
