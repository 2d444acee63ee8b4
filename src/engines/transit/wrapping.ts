/**
 * Keys on their way from one server to another, as this API wraps them: a fresh AES key under an RSA key (OAEP), and behind
 * it the material under that AES key (AES-KWP, RFC 5649). Storage: config/wrapping → WrappingEntry, made when first asked for.
 */
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import { promisify } from 'node:util'
import { base64Fault, decodeBase64 } from '#lib/base64.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import { pem } from './info.ts'
import { refuse } from './key.ts'
import { encodedPair } from './material.ts'

interface WrappingEntry {
  /** Base64 of PKCS#8. */
  secret: string
  /** Base64 of the SubjectPublicKeyInfo. */
  public: string
}

const WRAPPING_KEY = 'config/wrapping'
const WRAPPING_BITS = 4096
const WRAPPING_BYTES = WRAPPING_BITS / 8

const KWP = 'id-aes256-wrap-pad'
/** RFC 5649 §3. */
const KWP_IV = Buffer.from('a65959a6', 'hex')

const hashFunctions: Readonly<Record<string, string>> = {
  SHA1: 'sha1',
  SHA224: 'sha224',
  SHA256: 'sha256',
  SHA384: 'sha384',
  SHA512: 'sha512',
}

export const wrappingPath: Path = {
  pattern: 'wrapping_key',
  about: 'The public key under which keys are brought here.',
  operations: { read: endpoint('Get the public key; it is made when first asked for.', {}, readWrappingKey) },
}

async function readWrappingKey({ mount }: Call): Promise<Reply> {
  return { data: { public_key: pem('PUBLIC KEY', (await wrappingEntry(mount)).public) } }
}

async function wrappingEntry({ storage }: Mount): Promise<WrappingEntry> {
  const stored = await storage.get<WrappingEntry>(WRAPPING_KEY)
  if (stored) return stored
  const fresh = encodedPair(await promisify(generateKeyPair)('rsa', { modulusLength: WRAPPING_BITS }))
  return storage.transact(async (transaction) => {
    const other = await transaction.get<WrappingEntry>(WRAPPING_KEY)
    if (other) return other
    transaction.put(WRAPPING_KEY, fresh)
    return fresh
  })
}

/** The material that came; the caller wipes it. @throws ApiError `invalid_request` without telling what was wrong inside */
export async function unwrapMaterial(mount: Mount, text: string, hashFunction: string): Promise<Buffer> {
  const hash = Object.hasOwn(hashFunctions, hashFunction) ? hashFunctions[hashFunction] : undefined
  if (hash === undefined) refuse(`unsupported hash function: ${hashFunction}`)
  const bytes = decodeBase64(text) ?? refuse(base64Fault(text))
  if (bytes.length <= WRAPPING_BYTES) refuse(`ciphertext too short: expected more than ${WRAPPING_BYTES} bytes`)
  const { secret } = await wrappingEntry(mount)
  const der = Buffer.from(secret, 'base64')
  const own = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  der.fill(0)
  return opened(own, hash, bytes.subarray(0, WRAPPING_BYTES), bytes.subarray(WRAPPING_BYTES))
}

function opened(own: KeyObject, oaepHash: string, wrappedKey: Buffer, wrapped: Buffer): Buffer {
  try {
    const key = privateDecrypt({ key: own, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, wrappedKey)
    const cipher = createDecipheriv(KWP, key, KWP_IV)
    key.fill(0)
    return Buffer.concat([cipher.update(wrapped), cipher.final()])
  } catch {
    // One refusal for both steps: which of them failed would tell about the key (RFC 8017 §7.1.2, note).
    refuse('failed to unwrap the key: it is not wrapped under the wrapping key of this mount')
  }
}

/** In the form that `unwrapMaterial` of the server takes which has the private part. The material is wiped. */
export function wrapMaterial(destination: KeyObject, material: Buffer): string {
  const key = randomBytes(32)
  const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
  const wrappedKey = publicEncrypt({ key: destination, ...padding }, key)
  const cipher = createCipheriv(KWP, key, KWP_IV)
  const wrapped = Buffer.concat([wrappedKey, cipher.update(material), cipher.final()])
  key.fill(0)
  material.fill(0)
  return wrapped.toString('base64')
}
