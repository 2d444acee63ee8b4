/**
 * Auto-unseal with a key of the AWS Key Management Service. The root key is small enough for the service to encrypt it
 * itself, so no data key is needed.
 *
 *     seal "awskms" {
 *       region     = "eu-central-1"
 *       kms_key_id = "alias/strongroom"
 *     }
 *
 * Needs `kms:Encrypt` and `kms:Decrypt`. The service finds the version of a key that it rotates by itself; another key in the
 * configuration takes over while the service still opens with the one before.
 */
import type { KMSClient, KMSClientConfig } from '@aws-sdk/client-kms'
import type { AutoUnseal, AutoUnsealKind, WrappedKey } from '#sdk/seal.ts'
import { failing, needed, readSecretText, readSettings, type Settings, unusable } from '#seal/settings.ts'

const KIND = 'awskms'
const DEFAULT_REGION = 'us-east-1'
/** For one call with all its tries, and with finding credentials. */
const CALL_MS = 10_000
const CONNECT_MS = 3000
const MAX_TRIES = 2
/** Binds the ciphertext to its use: what was encrypted for something else with the same key does not open as a root key. */
const CONTEXT = { purpose: 'strongroom root key' }

const settings = {
  region: [],
  access_key: [],
  secret_key: [],
  session_token: [],
  kms_key_id: ['VAULT_AWSKMS_SEAL_KEY_ID'],
  endpoint: ['AWS_KMS_ENDPOINT'],
} as const

type Sdk = typeof import('@aws-sdk/client-kms')

export const kind: AutoUnsealKind = {
  name: KIND,
  async open(options) {
    const given = readSettings(KIND, settings, options, process.env)
    const keyId = needed(KIND, settings, given, 'kms_key_id')
    const credentials = await credentialsOf(given)
    const sdk = await loadSdk()
    const common = { ...credentials, ...(given.endpoint && { endpoint: given.endpoint }) }
    return new AwsKmsUnseal(sdk, { ...common, region: await regionOf(sdk, given.region) }, keyId)
  },
}

class AwsKmsUnseal implements AutoUnseal {
  readonly #sdk: Sdk
  readonly #client: KMSClient
  readonly #keyId: string

  constructor(sdk: Sdk, config: KMSClientConfig, keyId: string) {
    this.#sdk = sdk
    this.#keyId = keyId
    const requestHandler = { connectionTimeout: CONNECT_MS, requestTimeout: CALL_MS }
    this.#client = new sdk.KMSClient({ ...config, maxAttempts: MAX_TRIES, requestHandler })
  }

  async wrap(key: Uint8Array): Promise<WrappedKey> {
    const command = new this.#sdk.EncryptCommand({ KeyId: this.#keyId, Plaintext: key, EncryptionContext: CONTEXT })
    const { CiphertextBlob, KeyId } = await inTime('Encrypt', (abortSignal) =>
      this.#client.send(command, { abortSignal }),
    )
    // The identifier of the key itself also where an alias is configured, so that an alias that moved on is noticed.
    if (!CiphertextBlob || !KeyId) throw failing(KIND, 'the key service gave no answer of use', 'Encrypt: empty answer')
    return { keyId: KeyId, bytes: CiphertextBlob }
  }

  async unwrap({ keyId, bytes }: WrappedKey): Promise<Uint8Array> {
    const command = new this.#sdk.DecryptCommand({ KeyId: keyId, CiphertextBlob: bytes, EncryptionContext: CONTEXT })
    const { Plaintext } = await inTime('Decrypt', (abortSignal) => this.#client.send(command, { abortSignal }))
    if (!Plaintext) throw failing(KIND, 'the key service gave no answer of use', 'Decrypt: empty answer')
    return Plaintext
  }

  async close(): Promise<void> {
    this.#client.destroy()
  }
}

/** Undefined leaves it to the SDK: variables, the shared files of the AWS command line, the role of the machine. */
async function credentialsOf(given: Settings<typeof settings>): Promise<Pick<KMSClientConfig, 'credentials'>> {
  if (Boolean(given.access_key) !== Boolean(given.secret_key)) {
    throw unusable(KIND, 'access_key and secret_key are given together or not at all')
  }
  if (!given.access_key || !given.secret_key) return {}
  const sessionToken = given.session_token && (await readSecretText(KIND, 'session_token', given.session_token))
  return {
    credentials: {
      accessKeyId: await readSecretText(KIND, 'access_key', given.access_key),
      secretAccessKey: await readSecretText(KIND, 'secret_key', given.secret_key),
      ...(sessionToken && { sessionToken }),
    },
  }
}

/** The SDK reads one of the two variables and the shared files, and has no region of its own. */
async function regionOf(sdk: Sdk, given: string | undefined): Promise<string> {
  const region = given ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION']
  if (region) return region
  const probe = new sdk.KMSClient({})
  try {
    return await probe.config.region()
  } catch {
    // Nowhere to be found, which is what the documented default is for.
    return DEFAULT_REGION
  } finally {
    probe.destroy()
  }
}

async function loadSdk(): Promise<Sdk> {
  try {
    return await import('@aws-sdk/client-kms')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw unusable(KIND, 'the optional package @aws-sdk/client-kms is not installed')
  }
}

/** A limit around all of it, since finding credentials does not know the signal. */
async function inTime<T>(what: string, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(CALL_MS)
  const { promise: late, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason as Error)
  signal.addEventListener('abort', onAbort)
  try {
    return await Promise.race([call(signal), late])
  } catch (error) {
    throw failing(KIND, 'the key service refuses or cannot be reached', `${what}: ${describe(error)}`)
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Answers whose texts name keys and rights. Those of a refused signature quote the request, with its session token. */
const tellingNames = new Set([
  'AccessDeniedException',
  'DisabledException',
  'IncorrectKeyException',
  'InvalidKeyUsageException',
  'KeyUnavailableException',
  'KMSInvalidStateException',
  'NotFoundException',
])

function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'failed'
  const {
    name,
    message,
    code,
    $metadata: metadata,
  } = error as NodeJS.ErrnoException & {
    $metadata?: { httpStatusCode?: number }
  }
  const facts = [code, metadata?.httpStatusCode].filter((each) => each !== undefined)
  return `${name}${facts.length > 0 ? ` (${facts.join(', ')})` : ''}${tellingNames.has(name) ? `: ${message}` : ''}`
}
