/** Keys that two servers agree on without sending them: each has its own EC key and the public key of the other. */
import { createPublicKey, diffieHellman, hkdfSync, randomBytes } from 'node:crypto'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import { keyInfo } from './info.ts'
import {
  checkedName,
  type KeyEntry,
  keyNamed,
  keyPath,
  nameField,
  newKey,
  oldestVersion,
  putKey,
  refuse,
  withVersion,
} from './key.ts'
import { materialOf } from './loaded.ts'
import { HMAC_KEY_BYTES } from './material.ts'
import { keyTypes, typeNamed } from './types.ts'
import { usable } from './use.ts'

const fields = {
  name: nameField,
  base_key_name: { type: 'string', about: 'Name of our EC key.', default: '' },
  base_key_version: { type: 'integer', about: 'Version of our EC key; 0: the latest.', default: 0 },
  peer_public_key: { type: 'string', about: 'Public key of the other side, as PEM.', default: '' },
  derived_key_type: { type: 'string', about: 'Type of the new key.', default: 'aes256-gcm96' },
  key_derivation_algorithm: { type: 'string', about: 'How: ecdh.', default: 'ecdh' },
} as const satisfies Fields

export const agreementPath: Path = {
  pattern: 'derive-key/:name',
  about: 'Keys that both sides make and nobody sends.',
  operations: { update: endpoint('Make the key that the other side makes as well.', fields, agree) },
}

async function agree({ mount, data }: Call<typeof fields>): Promise<Reply> {
  if (data.key_derivation_algorithm !== 'ecdh') {
    refuse(`unsupported key derivation algorithm ${data.key_derivation_algorithm}`)
  }
  const type = typeNamed(data.derived_key_type)
  const about = keyTypes[type]
  if (about.family !== 'aead') refuse(`unsupported derived key type ${type}`)
  if (data.base_key_name === '') refuse('missing base_key_name')
  const base = usable(await keyNamed(mount.storage, data.base_key_name), 'base key not found')
  const curve = keyTypes[base.type]
  if (curve.family !== 'ecdsa') refuse(`key agreement not supported for key type ${base.type}`)
  const version = data.base_key_version === 0 ? base.latest_version : data.base_key_version
  if (version < Math.max(oldestVersion(base), base.min_decryption_version) || version > base.latest_version) {
    refuse(`key version ${version} cannot be used`)
  }
  const { private: own } = await materialOf(mount, base, version)
  if (!own) refuse('the base key has only a public part')
  const secret = agreed(own, data.peer_public_key, curve.nodeCurve, about.keyBytes)
  const path = keyPath(checkedName(data.name))
  const key = await mount.storage.transact(async (transaction) => {
    if (await transaction.get<KeyEntry>(path)) {
      throw new ApiError('internal', oneError(`key ${JSON.stringify(data.name)} already exists`))
    }
    const hmac = randomBytes(HMAC_KEY_BYTES).toString('base64')
    const material = { secret, hmac, convergent_version: 0 }
    const made = withVersion(transaction, { ...newKey(type), kdf: 0 }, material, mount.clock.now())
    putKey(transaction, data.name, made)
    return made
  })
  return { data: await keyInfo(mount, data.name, key) }
}

/** HKDF-SHA256 of the shared point, without salt and info, as long as the key is to be. */
function agreed(own: Parameters<typeof diffieHellman>[0]['privateKey'], peer: string, curve: string, bytes: number) {
  let shared: Buffer
  try {
    const publicKey = createPublicKey({ key: peer, format: 'pem' })
    if (publicKey.asymmetricKeyDetails?.namedCurve !== curve) throw new Error('another curve')
    shared = diffieHellman({ privateKey: own, publicKey })
  } catch {
    refuse('invalid peer_public_key: expected the PEM of a public key on the curve of the base key')
  }
  const key = Buffer.from(hkdfSync('sha256', shared, '', '', bytes))
  const text = key.toString('base64')
  shared.fill(0)
  key.fill(0)
  return text
}
