/** The material of one version of a key: making it, and parsing what is stored into key objects. */
import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { promisify } from 'node:util'
import type { VersionEntry } from './key.ts'
import { ed25519Private, ed25519Public, rawEd25519 } from './ed25519.ts'
import { keyTypes, type KeyType, type TypeName } from './types.ts'

/** Parsed once and kept; the bytes lie outside the JavaScript heap. */
export interface Material {
  /** Raw bytes: of AEAD and HMAC keys, and of ed25519 (seed and public key) to derive from. */
  secret?: KeyObject
  private?: KeyObject
  public?: KeyObject
  hmac: KeyObject
  convergentVersion: number
}

/** Each version has an HMAC key of its own, whatever the key is for. */
export const HMAC_KEY_BYTES = 32

/** What new convergent keys use: both the key and the key of its nonces come from the context. */
const CONVERGENT_VERSION = 3

const generatePair = promisify(generateKeyPair)

/**
 * New material; of RSA on the thread pool, since a key of 4096 bits takes half a second.
 *
 * @param keyBytes  of HMAC keys
 */
export async function generate(
  type: TypeName,
  { convergent = false, keyBytes = 0 }: { convergent?: boolean; keyBytes?: number } = {},
): Promise<VersionEntry> {
  const about = keyTypes[type]
  const version = { hmac: randomText(HMAC_KEY_BYTES), convergent_version: convergent ? CONVERGENT_VERSION : 0 }
  switch (about.family) {
    case 'aead':
      return { ...version, secret: randomText(about.keyBytes) }
    case 'hmac': {
      const secret = randomText(keyBytes)
      return { ...version, secret, hmac: secret }
    }
    case 'ed25519':
      return { ...version, ...rawEd25519(await generatePair('ed25519', {})) }
    case 'ecdsa':
      return { ...version, ...encodedPair(await generatePair('ec', { namedCurve: about.nodeCurve })) }
    case 'rsa':
      return { ...version, ...encodedPair(await generatePair('rsa', { modulusLength: about.bits })) }
  }
}

export function parse(about: KeyType, version: VersionEntry): Material {
  const hmac = secretKey(version.hmac)
  const convergentVersion = version.convergent_version
  switch (about.family) {
    case 'aead':
    case 'hmac':
      return { hmac, convergentVersion, secret: secretKey(version.secret!) }
    case 'ed25519': {
      const shown = ed25519Public(Buffer.from(version.public!, 'base64'))
      if (version.secret === undefined) return { hmac, convergentVersion, public: shown }
      const secret = secretKey(version.secret)
      return { hmac, convergentVersion, secret, private: ed25519Private(secret), public: shown }
    }
    case 'ecdsa':
    case 'rsa': {
      const shown = createPublicKey({ key: Buffer.from(version.public!, 'base64'), format: 'der', type: 'spki' })
      if (version.secret === undefined) return { hmac, convergentVersion, public: shown }
      const der = Buffer.from(version.secret, 'base64')
      const own = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
      der.fill(0)
      return { hmac, convergentVersion, private: own, public: shown }
    }
  }
}

/** What is stored of a pair of EC or RSA keys. */
export function encodedPair(pair: { privateKey: KeyObject; publicKey: KeyObject }): { secret: string; public: string } {
  const der = pair.privateKey.export({ format: 'der', type: 'pkcs8' })
  const secret = der.toString('base64')
  der.fill(0)
  return { secret, public: pair.publicKey.export({ format: 'der', type: 'spki' }).toString('base64') }
}

function secretKey(text: string): KeyObject {
  const bytes = Buffer.from(text, 'base64')
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

function randomText(bytes: number): string {
  const random = randomBytes(bytes)
  const text = random.toString('base64')
  random.fill(0)
  return text
}
