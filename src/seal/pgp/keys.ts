/**
 * Public keys of OpenPGP (RFC 9580) that shares and tokens are encrypted to, so that nobody but the holder ever sees them:
 * not the one who starts the server, and not who reads his terminal.
 *
 * A key comes from people who need no token yet, and one with many user ids and signatures takes long to check. So all work
 * on keys is done in a thread of its own, with an end, and new ones are looked at for two calls at a time. What is encrypted
 * in the end, to keys that were looked at, is not kept waiting by them.
 */
import { Worker } from 'node:worker_threads'
import { ApiError } from '#sdk/errors.ts'
import type { Job, Outcome } from './job.ts'

/** Of one key. Larger ones carry portraits, or signatures of others, which are of no use here. */
export const MAX_PGP_KEY_BYTES = 64 * 1024
/** For all keys of one call: a key of common size takes about 5 ms, and there are at most 255. */
const MAX_WORK_MS = 30_000
const MAX_THREADS = 2
const MAX_THREAD_MB = 256

export interface PgpKey {
  /** Of the primary key, hex in small letters. */
  fingerprint: string
  /** Base64 of the binary key. */
  text: string
}

/**
 * @param texts  base64 of the binary key, as the API has it
 * @throws ApiError `invalid_request`: for the first one that is no public key, or cannot encrypt (expired, revoked, too
 *         weak, only for signing); `too_many_requests` when too many such calls are under way
 */
export async function readPgpKeys(texts: readonly string[]): Promise<PgpKey[]> {
  if (texts.length === 0) return []
  const keys = texts.map(compactKey)
  if (threads >= MAX_THREADS) throw new ApiError('too_many_requests', 'too many PGP keys are being looked at')
  // Something is encrypted to each now: once keys were made and split, a key that cannot be used would cost them.
  const { fingerprints } = await inThread({ keys, plains: keys.map(() => new Uint8Array(1)) })
  return keys.map((text, at) => ({ text, fingerprint: fingerprints[at]! }))
}

/**
 * Each to the key at its place. The caller wipes what it gave.
 *
 * @returns binary messages, for the software of the key's holder: what a key does not say it understands is not used
 */
export async function encryptEach(keys: readonly PgpKey[], plains: readonly Uint8Array[]): Promise<Uint8Array[]> {
  return (await inThread({ keys: keys.map(({ text }) => text), plains })).messages
}

function compactKey(text: string): string {
  const compact = text.replace(/\s+/g, '')
  if (compact.length > (MAX_PGP_KEY_BYTES / 3) * 4) {
    throw refused(
      `error parsing given PGP key: it has more than ${MAX_PGP_KEY_BYTES} bytes; export it with only what is needed (gpg --export-options export-minimal)`,
    )
  }
  if (compact === '' || compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) {
    throw refused('error decoding given PGP key: it is not base64')
  }
  return compact
}

let threads = 0

async function inThread(job: Job): Promise<{ fingerprints: string[]; messages: Uint8Array[] }> {
  threads++
  // As for the writer of the store: neither the environment, where secrets may stand, nor the options of this process.
  const worker = new Worker(new URL('thread.ts', import.meta.url), {
    workerData: job,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: MAX_THREAD_MB },
  })
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const tooMuch: Outcome = { ok: false, message: 'error parsing given PGP key: it takes too long or too much memory' }
  worker.once('message', resolve)
  worker.once('error', ({ message }: Error) => resolve({ ...tooMuch, reason: message }))
  worker.once('exit', () => resolve(tooMuch))
  const timer = setTimeout(() => resolve(tooMuch), MAX_WORK_MS)
  try {
    const outcome = await promise
    if (!outcome.ok) throw refused(outcome.message, outcome.reason)
    return outcome
  } finally {
    clearTimeout(timer)
    await worker.terminate()
    threads--
  }
}

function refused(message: string, reason?: string): ApiError {
  return new ApiError('invalid_request', message, reason === undefined ? {} : { reason })
}
