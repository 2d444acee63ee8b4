/** Keyed hashes: every version of every key has a key for them. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { base64Fault, decodeBase64 } from '#lib/base64.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import type { Field, Fields } from '#sdk/schema.ts'
import { batchInput, eachItem, type Item, itemsOf, type Result, textOf } from './batch.ts'
import { labelled, versionOf } from './ciphertext.ts'
import { keyVersionField } from './encryption.ts'
import { DEFAULT_HASH, type Hash, hashNamed } from './hashes.ts'
import { type KeyEntry, keyNamed, nameField, refuse } from './key.ts'
import { kept, materialOf } from './loaded.ts'
import { usable } from './use.ts'

export const inputField = { type: 'string', about: 'The message, in base64.' } as const satisfies Field
export const urlAlgorithmField = {
  type: 'string',
  about: 'Hash algorithm, given in the address.',
  default: '',
} as const satisfies Field

const fields = {
  name: nameField,
  input: inputField,
  algorithm: { type: 'string', about: 'Hash algorithm.', default: DEFAULT_HASH },
  urlalgorithm: urlAlgorithmField,
  key_version: keyVersionField,
  batch_input: batchInput,
} as const satisfies Fields

export const hmacPaths: readonly Path[] = ['hmac/:name', 'hmac/:name/:urlalgorithm'].map((pattern) => ({
  pattern,
  computesOnly: true,
  about: 'Keyed hashes.',
  operations: { update: endpoint('Make the keyed hash of a message, or of many.', fields, makeHmacs) },
}))

const itemShape = { input: 'string', reference: 'string' } as const

async function makeHmacs({ mount, data }: Call<typeof fields>): Promise<Reply> {
  const batch = data.batch_input !== undefined
  const key = usable(await keyNamed(mount.storage, data.name), 'encryption key not found')
  const version = data.key_version === 0 ? key.latest_version : data.key_version
  if (version < key.min_encryption_version || version < key.min_available_version || version < 1) {
    refuse('cannot generate HMAC: version is too old (disallowed by policy)')
  }
  if (version > key.latest_version) refuse('cannot generate HMAC: version is too new')
  const name = data.urlalgorithm === '' ? data.algorithm : data.urlalgorithm
  const hash = hashNamed(name) ?? refuse(`unsupported algorithm ${JSON.stringify(name)}`)
  const work = async (item: Item): Promise<Result> => {
    const sum = await hmacOf(mount, key, version, hash, inputOf(item, 'missing input for HMAC'))
    return { hmac: labelled(version, sum.toString('base64')) }
  }
  if (!batch) return { data: await work(data as Item) }
  return { data: { batch_results: await eachItem(itemsOf(data.batch_input, itemShape), work) } }
}

/** @throws ApiError `invalid_request` when there is none */
export function inputOf(item: Item, missing: string): Buffer {
  if (typeof item['input'] !== 'string') refuse(missing)
  const text = textOf(item, 'input')
  return decodeBase64(text) ?? refuse(`unable to decode input as base64: ${base64Fault(text)}`)
}

export async function verifyHmac(
  mount: Mount,
  key: Readonly<KeyEntry>,
  { hmac, hash, input }: { hmac: string; hash: Hash; input: Buffer },
): Promise<boolean> {
  const { version, payload } = versionOf(key, hmac, 'HMAC to verify')
  const given =
    decodeBase64(payload) ?? refuse(`unable to decode verification string as base64: ${base64Fault(payload)}`)
  const right = await hmacOf(mount, key, version, hash, input)
  return given.length === right.length && timingSafeEqual(given, right)
}

async function hmacOf(
  mount: Mount,
  key: Readonly<KeyEntry>,
  version: number,
  hash: Hash,
  input: Buffer,
): Promise<Buffer> {
  const material = kept(key, version) ?? (await materialOf(mount, key, version))
  return createHmac(hash.node, material.hmac).update(input).digest()
}
