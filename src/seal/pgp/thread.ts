/** The thread for PGP keys: does its one job and ends. */
import { parentPort, workerData } from 'node:worker_threads'
import { createMessage, encrypt, type Key, readKey } from 'openpgp'
import type { Job, Outcome } from './job.ts'

parentPort!.postMessage(await work(workerData as Job))

async function work({ keys, plains }: Job): Promise<Outcome> {
  const done = { ok: true as const, fingerprints: [] as string[], messages: [] as Uint8Array[] }
  for (const [at, text] of keys.entries()) {
    const key = await parsed(text)
    if ('ok' in key) return key
    const message = await encryptTo(key, plains[at]!)
    if ('ok' in message) return message
    done.fingerprints.push(key.getFingerprint().toLowerCase())
    done.messages.push(message)
  }
  return done
}

async function parsed(text: string): Promise<Key | Extract<Outcome, { ok: false }>> {
  let key: Key
  try {
    key = await readKey({ binaryKey: Buffer.from(text, 'base64') })
  } catch (error) {
    return { ok: false, message: 'error parsing given PGP key', reason: textOf(error) }
  }
  // Somebody who sends his private key by mistake learns so; it must not look as if that were the way.
  return key.isPrivate()
    ? { ok: false, message: 'error parsing given PGP key: it is a private key; only the public one is needed' }
    : key
}

async function encryptTo(key: Key, plain: Uint8Array): Promise<Uint8Array | Extract<Outcome, { ok: false }>> {
  try {
    const message = await createMessage({ binary: Uint8Array.from(plain) })
    return await encrypt({ message, encryptionKeys: key, format: 'binary' })
  } catch (error) {
    // The library's own words are about the key.
    return { ok: false, message: `the PGP key ${key.getFingerprint()} cannot encrypt: ${textOf(error)}` }
  } finally {
    plain.fill(0)
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
