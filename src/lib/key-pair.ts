/** Whether a private key is the one of a public key. */
import { createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto'
import { promisify } from 'node:util'

const CHALLENGE_BYTES = 32
const signLater = promisify(sign)

/**
 * The public part that stands in a private key of the EC or RSA kind proves nothing: it is read as it is written there, and
 * anybody can write another. What the key signs does.
 *
 * @param publicKey  without it, the one that the private key says it has
 */
export async function isKeyOf(privateKey: KeyObject, publicKey = createPublicKey(privateKey)): Promise<boolean> {
  try {
    if (!createPublicKey(privateKey).equals(publicKey)) return false
    const digest = publicKey.asymmetricKeyType === 'ed25519' ? null : 'sha256'
    const challenge = randomBytes(CHALLENGE_BYTES)
    return verify(digest, challenge, publicKey, await signLater(digest, challenge, privateKey))
  } catch {
    // A key that cannot sign, since its numbers make no key; OpenSSL's words may hold parts of it.
    return false
  }
}
