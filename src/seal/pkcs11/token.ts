/** What a seal does with a token: find its key, or make one, and let it encrypt and decrypt. */
import { randomBytes } from 'node:crypto'
import {
  type Attribute,
  CKA,
  CKK_AES,
  CKM,
  CKO,
  type Cryptoki,
  gcmParameters,
  mechanismOf,
  oaepParameters,
} from './cryptoki.ts'
import type { KeyName, MechanismName, OaepHash, TokenReply, TokenRequest } from './request.ts'

const IV_BYTES = 12
const TAG_BITS = 128
const MAX_ID_BYTES = 256
const ASSOCIATED = Buffer.from('strongroom root key')

/** Hash and mask function of OAEP, by the numbers of the specification. */
const oaepHashes: Readonly<Record<OaepHash, readonly [hash: bigint, mask: bigint]>> = {
  sha1: [0x220n, 1n],
  sha224: [0x255n, 5n],
  sha256: [0x250n, 2n],
  sha384: [0x260n, 3n],
  sha512: [0x270n, 4n],
}

interface FoundKey {
  object: bigint
  id: string
  mechanism: MechanismName
}

/** @throws CryptokiError for what the token refuses, Error for what is not there */
export function use(token: Cryptoki, request: TokenRequest): TokenReply {
  const session = token.openSession(findSlot(token, request), request.generate)
  try {
    const pin = Buffer.from(request.pin)
    token.login(session, pin)
    pin.fill(0)
    const data = Buffer.from(request.data, 'base64')
    const found = findKey(token, session, request)
    const result =
      request.action === 'wrap'
        ? wrap(token, session, found, request, data)
        : unwrap(token, session, found, request, data)
    const key = { label: request.key.label, id: found.id, mechanism: found.mechanism }
    return { ok: true, key, data: result.toString('base64') }
  } finally {
    token.closeSession(session)
  }
}

function findSlot(token: Cryptoki, { slot, tokenLabel }: TokenRequest): bigint {
  const slots = token.slots()
  if (slot !== undefined) {
    if (!slots.includes(BigInt(slot))) throw new Error(`no token is in slot ${slot}`)
    return BigInt(slot)
  }
  const found = slots.filter((each) => token.tokenLabel(each) === tokenLabel)
  if (found.length !== 1)
    throw new Error(`${found.length === 0 ? 'no token has' : 'several tokens have'} the label that is configured`)
  return found[0]!
}

/** A secret key for AES, or the half of an RSA key that the action needs. */
function findKey(token: Cryptoki, session: bigint, { key, action, generate }: TokenRequest): FoundKey {
  const name: Attribute[] = [
    ...(key.label === undefined ? [] : [[CKA.LABEL, Buffer.from(key.label)] as const]),
    ...(key.id === undefined ? [] : [[CKA.ID, Buffer.from(key.id, 'hex')] as const]),
  ]
  const one = (kind: bigint, mechanism: MechanismName): FoundKey | undefined => {
    if (key.mechanism !== undefined && key.mechanism !== mechanism) return undefined
    const found = token.find(session, [[CKA.CLASS, kind], ...name], 2)
    if (found.length > 1) throw new Error('several keys have this label: give key_id as well')
    return found[0] === undefined ? undefined : { object: found[0], id: idOf(token, session, found[0]), mechanism }
  }
  const found =
    one(CKO.SECRET_KEY, 'AES_GCM') ?? one(action === 'wrap' ? CKO.PUBLIC_KEY : CKO.PRIVATE_KEY, 'RSA_PKCS_OAEP')
  if (found !== undefined) return found
  if (!generate || key.mechanism === 'RSA_PKCS_OAEP') throw new Error('the token has no key of this name')
  const object = makeKey(token, session, key)
  return { object, id: idOf(token, session, object), mechanism: 'AES_GCM' }
}

function idOf(token: Cryptoki, session: bigint, object: bigint): string {
  return token.attribute(session, object, CKA.ID, MAX_ID_BYTES).toString('hex')
}

/** May do what a seal needs and no more, and never leaves the token. */
function makeKey(token: Cryptoki, session: bigint, { label, id }: KeyName): bigint {
  return token.generateKey(session, CKM.AES_KEY_GEN, [
    [CKA.CLASS, CKO.SECRET_KEY],
    [CKA.KEY_TYPE, CKK_AES],
    [CKA.VALUE_LEN, 32n],
    [CKA.LABEL, Buffer.from(label ?? '')],
    [CKA.ID, id === undefined ? randomBytes(4) : Buffer.from(id, 'hex')],
    [CKA.TOKEN, true],
    [CKA.PRIVATE, true],
    [CKA.SENSITIVE, true],
    [CKA.EXTRACTABLE, false],
    [CKA.ENCRYPT, true],
    [CKA.DECRYPT, true],
  ])
}

function wrap(token: Cryptoki, session: bigint, key: FoundKey, { oaepHash }: TokenRequest, data: Buffer): Buffer {
  if (key.mechanism === 'RSA_PKCS_OAEP') return token.encrypt(session, oaep(oaepHash), key.object, data)
  const iv = randomBytes(IV_BYTES)
  return Buffer.concat([iv, token.encrypt(session, gcm(iv), key.object, data)])
}

function unwrap(token: Cryptoki, session: bigint, key: FoundKey, { oaepHash }: TokenRequest, data: Buffer): Buffer {
  if (key.mechanism === 'RSA_PKCS_OAEP') return token.decrypt(session, oaep(oaepHash), key.object, data)
  // A copy, since the address of a part of a buffer is needed to stay with its own memory.
  const iv = Buffer.from(data.subarray(0, IV_BYTES))
  return token.decrypt(session, gcm(iv), key.object, data.subarray(IV_BYTES))
}

function gcm(iv: Buffer): Buffer {
  return mechanismOf(CKM.AES_GCM, gcmParameters(iv, ASSOCIATED, TAG_BITS))
}

function oaep(hash: OaepHash): Buffer {
  return mechanismOf(CKM.RSA_PKCS_OAEP, oaepParameters(...oaepHashes[hash]))
}
