/**
 * Auto-unseal with a key given beside the configuration: in a file, in an environment variable or as text.
 *
 *     seal "static" {
 *       current_key_id = "2026-06"      current_key  = "file:///etc/strongroom/unseal.key"
 *       previous_key_id = "2026-01"     previous_key = "env://OLD_UNSEAL_KEY"
 *     }
 *
 * The previous key only opens; after that the root key is wrapped with the current one, and the previous can be removed.
 */
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import type { ApiError } from '#sdk/errors.ts'
import type { AutoUnseal, AutoUnsealKind, WrappedKey } from '#sdk/seal.ts'
import { readGiven, readSettings, unusable } from '#seal/settings.ts'

const ALGORITHM = 'aes-256-gcm'
const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16
const settings = { current_key_id: [], current_key: [], previous_key_id: [], previous_key: [] } as const

export const kind: AutoUnsealKind = {
  name: 'static',
  async open(options) {
    const given = readSettings('static', settings, options, process.env)
    const { current_key_id: currentId, previous_key_id: previousId } = given
    if (!currentId || !given.current_key) throw refused('current_key_id and current_key are required')
    if (Boolean(previousId) !== Boolean(given.previous_key)) {
      throw refused('previous_key_id and previous_key are given together or not at all')
    }
    if (previousId === currentId) throw refused('current_key_id and previous_key_id must differ')
    const keys = new Map([[currentId, await readKey('current_key', given.current_key)]])
    if (previousId && given.previous_key) keys.set(previousId, await readKey('previous_key', given.previous_key))
    return new StaticUnseal(currentId, keys)
  },
}

class StaticUnseal implements AutoUnseal {
  readonly #keyId: string
  readonly #keys: ReadonlyMap<string, KeyObject>

  constructor(keyId: string, keys: ReadonlyMap<string, KeyObject>) {
    this.#keyId = keyId
    this.#keys = keys
  }

  async wrap(key: Uint8Array): Promise<WrappedKey> {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv(ALGORITHM, this.#keys.get(this.#keyId)!, iv, { authTagLength: TAG_BYTES })
    cipher.setAAD(contextOf(this.#keyId))
    const body = Buffer.concat([cipher.update(key), cipher.final()])
    return { keyId: this.#keyId, bytes: Buffer.concat([iv, body, cipher.getAuthTag()]) }
  }

  async unwrap({ keyId, bytes }: WrappedKey): Promise<Uint8Array> {
    const key = this.#keys.get(keyId)
    if (key === undefined) {
      const known = [...this.#keys.keys()].map((id) => JSON.stringify(id)).join(' and ')
      throw refused(`the root key was sealed with key ${JSON.stringify(keyId)}; the configuration has only ${known}`)
    }
    if (bytes.length < IV_BYTES + TAG_BYTES) throw refused('the sealed root key is damaged')
    const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
    decipher.setAAD(contextOf(keyId))
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES))
    const plain = decipher.update(bytes.subarray(IV_BYTES, bytes.length - TAG_BYTES))
    try {
      decipher.final()
    } catch {
      plain.fill(0)
      // An ordinary mistake (a new key under the old identifier), so the text says what to look for.
      throw refused(`key ${JSON.stringify(keyId)} does not open the root key: it is not the key that sealed it`)
    }
    return plain
  }
}

/**
 * Key material from `file:///path`, `env://NAME` or the text itself. A file of exactly 32 bytes is the raw key; all else
 * is 64 hex digits or base64.
 */
async function readKey(option: string, given: string): Promise<KeyObject> {
  const bytes = await readGiven('static', option, given)
  try {
    const key = bytes.length === KEY_BYTES ? bytes : decodeKey(bytes.toString('latin1').trim())
    if (key === undefined) throw refused(`${option} is not a key of 32 bytes, raw or in hex or base64`)
    const object = createSecretKey(key)
    key.fill(0)
    return object
  } finally {
    bytes.fill(0)
  }
}

function decodeKey(text: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : undefined
}

function contextOf(keyId: string): Buffer {
  return Buffer.from(`strongroom root key\0static\0${keyId}`)
}

function refused(message: string): ApiError {
  return unusable('static', message)
}
