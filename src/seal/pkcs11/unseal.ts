/**
 * Auto-unseal with a key in a hardware security module, by the PKCS #11 library of its maker.
 *
 *     seal "pkcs11" {
 *       lib         = "/usr/lib/softhsm/libsofthsm2.so"
 *       token_label = "strongroom"
 *       pin         = "file:///etc/strongroom/pin"
 *       key_label   = "strongroom-root"
 *     }
 *
 * Each call runs in a process of its own (program.ts). A PIN that the token refused is not tried again before the next start:
 * tokens lock themselves after some wrong ones.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ApiError } from '#sdk/errors.ts'
import type { AutoUnseal, AutoUnsealKind, WrappedKey } from '#sdk/seal.ts'
import { asBoolean, failing, needed, readSecretText, readSettings, type Settings, unusable } from '#seal/settings.ts'
import {
  type KeyName,
  MAX_MESSAGE_BYTES,
  type MechanismName,
  type OaepHash,
  type TokenReply,
  type TokenRequest,
} from './request.ts'

const KIND = 'pkcs11'
/** For one call: a process, a session, a log-in and the work of the token. */
const CALL_MS = 10_000

const settings = {
  lib: ['VAULT_HSM_LIB'],
  slot: ['VAULT_HSM_SLOT'],
  token_label: ['VAULT_HSM_TOKEN_LABEL'],
  pin: ['VAULT_HSM_PIN'],
  key_label: ['VAULT_HSM_KEY_LABEL'],
  key_id: ['VAULT_HSM_KEY_ID'],
  mechanism: ['VAULT_HSM_MECHANISM'],
  rsa_oaep_hash: ['VAULT_HSM_RSA_OAEP_HASH'],
  generate_key: ['VAULT_HSM_GENERATE_KEY'],
} as const

type Given = Settings<typeof settings>

const mechanisms: Readonly<Record<string, MechanismName>> = { '4231': 'AES_GCM', '9': 'RSA_PKCS_OAEP' }

export const kind: AutoUnsealKind = {
  name: KIND,
  async open(options, purpose) {
    const given = readSettings(KIND, settings, options, process.env)
    if (process.platform === 'win32') throw unusable(KIND, 'tokens are not available on Windows')
    const library = needed(KIND, settings, given, 'lib')
    if (given.slot === undefined && given.token_label === undefined)
      throw unusable(KIND, 'slot or token_label is required')
    if (given.slot !== undefined && !/^\d{1,20}$/.test(given.slot)) throw unusable(KIND, 'slot is a decimal number')
    return new Pkcs11Unseal({
      library,
      slot: given.slot,
      tokenLabel: given.token_label,
      pin: await readSecretText(KIND, 'pin', needed(KIND, settings, given, 'pin')),
      key: keyOf(given),
      generate: purpose !== 'look' && asBoolean(KIND, 'generate_key', given.generate_key),
      oaepHash: oaepHashOf(given.rsa_oaep_hash),
    })
  },
}

type Standing = Omit<TokenRequest, 'action' | 'data'>

class Pkcs11Unseal implements AutoUnseal {
  readonly #standing: Standing
  /** Only for a new store, whose first call is to wrap: later a key that is missing must be told and not replaced. */
  #mayGenerate: boolean
  #refusedPin: ApiError | undefined

  constructor(standing: Standing) {
    this.#standing = standing
    this.#mayGenerate = standing.generate
  }

  async wrap(key: Uint8Array): Promise<WrappedKey> {
    const reply = await this.#ask('wrap', this.#standing.key, key)
    return { keyId: JSON.stringify(reply.key), bytes: Buffer.from(reply.data, 'base64') }
  }

  async unwrap({ keyId, bytes }: WrappedKey): Promise<Uint8Array> {
    this.#mayGenerate = false
    const reply = await this.#ask('unwrap', parseKeyId(keyId), bytes)
    return Buffer.from(reply.data, 'base64')
  }

  async #ask(action: TokenRequest['action'], key: KeyName, data: Uint8Array): Promise<TokenReply & { ok: true }> {
    if (this.#refusedPin) throw this.#refusedPin
    const request = {
      ...this.#standing,
      action,
      key,
      generate: this.#mayGenerate,
      data: Buffer.from(data).toString('base64'),
    }
    const reply = await askProgram(request)
    if (reply.ok) {
      this.#mayGenerate = false
      return reply
    }
    const reason = `${action}: ${reply.call === undefined ? '' : `${reply.call}: `}${reply.result}`
    if (reply.call !== 'C_Login') throw failing(KIND, 'the token refuses or cannot be asked', reason)
    // No reason to end: whoever restarts a server that ended would have it tried again, and again.
    this.#refusedPin = failing(
      KIND,
      'the token refuses the PIN, which is not tried again before the next start',
      reason,
    )
    throw this.#refusedPin
  }
}

/** @throws ApiError `upstream_failed` if there is no answer within the time */
async function askProgram(request: TokenRequest): Promise<TokenReply> {
  const program = fileURLToPath(new URL('program.ts', import.meta.url))
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: plainEnvironment(),
    timeout: CALL_MS,
    killSignal: 'SIGKILL',
  })
  const chunks: Buffer[] = []
  let bytes = 0
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_MESSAGE_BYTES) child.kill('SIGKILL')
    else chunks.push(chunk)
  })
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  child.on('error', reject)
  // It may be gone before it has read all; then how it ended says more than this.
  child.stdin.on('error', () => undefined)
  child.on('close', (code, signal) => resolve(signal === null ? `ended with status ${code}` : `ended by ${signal}`))
  child.stdin.end(JSON.stringify(request))
  try {
    const end = await promise
    return parseReply(Buffer.concat(chunks)) ?? { ok: false, result: `the process of the library ${end}` }
  } catch (error) {
    return { ok: false, result: `the process of the library cannot be started: ${String(error)}` }
  } finally {
    for (const chunk of chunks) chunk.fill(0)
  }
}

function parseReply(bytes: Buffer): TokenReply | undefined {
  try {
    return JSON.parse(bytes.toString('utf8')) as TokenReply
  } catch {
    // The process ended before it had answered; how it ended is told.
    return undefined
  }
}

/** Libraries read variables of their makers, which are not known here; secrets of this server are none of their business. */
function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:STRONGROOM|BAO|VAULT|AWS)_/.test(name)),
  )
}

function keyOf(given: Given): KeyName {
  const { key_label: label, key_id: id, mechanism } = given
  if (label === undefined && id === undefined) throw unusable(KIND, 'key_label or key_id is required')
  const hex = id?.replace(/^0x/i, '').toLowerCase()
  if (hex !== undefined && !/^(?:[0-9a-f]{2})+$/.test(hex)) throw unusable(KIND, 'key_id is a hexadecimal number')
  const name = mechanism === undefined ? undefined : mechanisms[String(Number(mechanism))]
  if (mechanism !== undefined && name === undefined) {
    throw unusable(KIND, 'mechanism is 0x1087 (CKM_AES_GCM) or 0x0009 (CKM_RSA_PKCS_OAEP)')
  }
  return { label, id: hex, mechanism: name }
}

function oaepHashOf(text = 'sha256'): OaepHash {
  const known: readonly OaepHash[] = ['sha1', 'sha224', 'sha256', 'sha384', 'sha512']
  const found = known.find((each) => each === text)
  if (found === undefined) throw unusable(KIND, `rsa_oaep_hash is one of ${known.join(', ')}`)
  return found
}

/** What `wrap` wrote, so that a key is found also when the configuration has another one by now. */
function parseKeyId(keyId: string): KeyName {
  try {
    return JSON.parse(keyId) as KeyName
  } catch {
    throw unusable(KIND, 'the root key was not sealed by a token')
  }
}
