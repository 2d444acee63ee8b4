/** The paths that sign, and that verify signatures and keyed hashes. */
import { base64Fault, decodeBase64, decodeBase64Url } from '#lib/base64.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { batchInput, bytesOf, eachItem, type Item, itemsOf, type Result, textOf } from './batch.ts'
import { labelled, usableVersion, versionOf } from './ciphertext.ts'
import { contextField, keyVersionField } from './encryption.ts'
import { DEFAULT_HASH, type Hash, hashNamed, signatureHash } from './hashes.ts'
import { inputField, inputOf, urlAlgorithmField, verifyHmac } from './hmac.ts'
import { keyNamed, nameField, refuse } from './key.ts'
import { kept, materialOf } from './loaded.ts'
import type { SaltLength } from './rsa-digest.ts'
import { signMessage, type SignOptions, verifyMessage } from './signature.ts'
import { keyTypes, signs } from './types.ts'
import { usable } from './use.ts'

const optionFields = {
  name: nameField,
  input: inputField,
  context: contextField,
  hash_algorithm: { type: 'string', about: 'Hash algorithm; none: the input is signed as it is.' },
  algorithm: { type: 'string', about: 'Old name of hash_algorithm.', deprecated: true },
  urlalgorithm: urlAlgorithmField,
  prehashed: { type: 'boolean', about: 'Whether the input is a hash already.', default: false },
  signature_algorithm: { type: 'string', about: 'For RSA: pss or pkcs1v15.', default: '' },
  marshaling_algorithm: { type: 'string', about: 'Form of the signature: asn1 or jws.', default: 'asn1' },
  salt_length: { type: 'string', about: 'For PSS: auto, hash, or a number of bytes.', default: 'auto' },
  batch_input: batchInput,
} as const satisfies Fields
const signFields = { ...optionFields, key_version: keyVersionField } as const satisfies Fields
const verifyFields = {
  ...optionFields,
  signature: { type: 'string', about: 'The signature to verify.', default: '' },
  hmac: { type: 'string', about: 'The keyed hash to verify.', default: '' },
} as const satisfies Fields

export const signingPaths: readonly Path[] = [
  ...['sign/:name', 'sign/:name/:urlalgorithm'].map((pattern) => ({
    pattern,
    computesOnly: true as const,
    about: 'Signatures.',
    operations: { update: endpoint('Sign a message, or many.', signFields, signAll) },
  })),
  ...['verify/:name', 'verify/:name/:urlalgorithm'].map((pattern) => ({
    pattern,
    computesOnly: true as const,
    about: 'Whether signatures and keyed hashes are right.',
    operations: { update: endpoint('Verify a signature or keyed hash, or many.', verifyFields, verifyAll) },
  })),
]

const itemShape = {
  input: 'string',
  context: 'string',
  signature: 'string',
  hmac: 'string',
  reference: 'string',
} as const

async function signAll({ mount, data }: Call<typeof signFields>): Promise<Reply> {
  const options = optionsOf(data)
  const key = usable(await keyNamed(mount.storage, data.name), 'signing key not found')
  if (!signs(keyTypes[key.type])) refuse(`key type ${key.type} does not support signing`)
  const batch = data.batch_input !== undefined
  const work = async (item: Item): Promise<Result> => {
    const input = inputOf(item, 'missing input')
    const context = bytesOf(item, 'context')
    const version = usableVersion(key, data.key_version, 'signing')
    const material = kept(key, version) ?? (await materialOf(mount, key, version))
    const { bytes, publicKey } = await signMessage(key, material, input, context, options)
    const payload = bytes.toString(options.marshaling === 'jws' ? 'base64url' : 'base64')
    return {
      key_version: version,
      signature: labelled(version, payload),
      // As the API has it, by two names.
      ...(publicKey && { [batch ? 'publickey' : 'public_key']: publicKey.toString('base64') }),
    }
  }
  if (!batch) return { data: await work(data as Item) }
  return { data: { batch_results: await eachItem(itemsOf(data.batch_input, itemShape), work) } }
}

async function verifyAll({ mount, data }: Call<typeof verifyFields>): Promise<Reply> {
  const batch = data.batch_input !== undefined
  const items = batch ? itemsOf(data.batch_input, itemShape) : [data as Item]
  const kind = kindOf(items, batch)
  const options = kind === 'signature' ? optionsOf(data) : undefined
  const hash = kind === 'hmac' ? hmacHash(data) : undefined
  const key = usable(await keyNamed(mount.storage, data.name), 'signature verification key not found')
  if (options && !signs(keyTypes[key.type])) refuse(`key type ${key.type} does not support verification`)
  const work = async (item: Item): Promise<Result> => {
    const input = inputOf(item, 'missing input')
    if (hash) return { valid: await verifyHmac(mount, key, { hmac: textOf(item, 'hmac'), hash, input }) }
    const { version, payload } = versionOf(key, textOf(item, 'signature'), 'signature')
    const signature = options!.marshaling === 'jws' ? decodeBase64Url(payload) : decodeBase64(payload)
    if (!signature) refuse(`invalid base64 signature value: ${base64Fault(payload)}`)
    const material = kept(key, version) ?? (await materialOf(mount, key, version))
    const message = { input, signature, context: bytesOf(item, 'context') }
    return { valid: await verifyMessage(key, material, message, options!) }
  }
  if (!batch) return { data: await work(items[0]!) }
  return { data: { batch_results: await eachItem(items, work) } }
}

/** All items of a batch have signatures, or all have keyed hashes. */
function kindOf(items: readonly Item[], batch: boolean): 'signature' | 'hmac' {
  const has = (name: string) => items.filter((item) => textOf(item, name) !== '').length
  const [signatures, hmacs] = [has('signature'), has('hmac')]
  if (batch) {
    if (signatures > 0 && hmacs > 0) {
      refuse("elements of batch_input must all provide either 'hmac' or 'signature', and not a mix of them")
    }
    if (signatures === 0 && hmacs === 0) refuse("no element of batch_input provides a 'signature' or an 'hmac'")
  } else {
    if (signatures > 0 && hmacs > 0) refuse("provide one of 'signature' or 'hmac'")
    if (signatures === 0 && hmacs === 0) refuse("neither a 'signature' nor an 'hmac' was given to verify")
  }
  return signatures > 0 ? 'signature' : 'hmac'
}

type Options = Data<typeof optionFields>

function hashName(data: Options): string {
  return data.urlalgorithm || data.hash_algorithm || data.algorithm || DEFAULT_HASH
}

function hmacHash(data: Options): Hash {
  const name = hashName(data)
  return hashNamed(name) ?? refuse(`unsupported algorithm ${JSON.stringify(name)}`)
}

function optionsOf(data: Options): SignOptions {
  const name = hashName(data)
  const hash =
    name === 'none' ? undefined : (signatureHash(name) ?? refuse(`invalid hash algorithm ${JSON.stringify(name)}`))
  const { prehashed, signature_algorithm: scheme, marshaling_algorithm: marshaling } = data
  if (!hash && (!prehashed || scheme !== 'pkcs1v15')) {
    refuse('hash_algorithm=none requires both prehashed=true and signature_algorithm=pkcs1v15')
  }
  if (scheme !== '' && scheme !== 'pss' && scheme !== 'pkcs1v15')
    refuse(`unsupported rsa signature algorithm ${scheme}`)
  if (marshaling !== 'asn1' && marshaling !== 'jws') {
    refuse(`invalid marshaling type ${JSON.stringify(marshaling)}; must be one of "asn1" or "jws"`)
  }
  return {
    hash,
    prehashed,
    scheme: scheme === '' ? 'pss' : scheme,
    marshaling,
    saltLength: saltLength(data.salt_length),
  }
}

/** As numbers 0 stands for auto and -1 for hash. */
function saltLength(text: string): SaltLength {
  if (text === 'auto' || text === '0') return 'auto'
  if (text === 'hash' || text === '-1') return 'hash'
  const length = /^\+?\d{1,5}$/.test(text) ? Number(text) : -1
  return length > 0
    ? length
    : refuse(`invalid salt length ${JSON.stringify(text)}: it is auto, hash, or a number of bytes`)
}
