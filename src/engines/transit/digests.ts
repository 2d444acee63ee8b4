/** The paths that need no key: hashes and random bytes. */
import { createHash, randomBytes } from 'node:crypto'
import { base64Fault, decodeBase64 } from '#lib/base64.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import type { Field, Fields } from '#sdk/schema.ts'
import { DEFAULT_HASH, hashNamed } from './hashes.ts'
import { refuse } from './key.ts'

const DEFAULT_RANDOM_BYTES = 32
const MAX_RANDOM_BYTES = 128 * 1024

const urlAlgorithm = {
  type: 'string',
  about: 'Hash algorithm, given in the address.',
  default: '',
} as const satisfies Field
const hashFields = {
  input: { type: 'string', about: 'What to hash, in base64.' },
  algorithm: {
    type: 'string',
    about: 'Hash algorithm: sha2- or sha3-, and 224, 256, 384 or 512.',
    default: DEFAULT_HASH,
  },
  format: { type: 'string', about: 'hex or base64.', default: 'hex' },
  urlalgorithm: urlAlgorithm,
} as const satisfies Fields
const randomFields = {
  bytes: { type: 'integer', about: 'How many.', default: DEFAULT_RANDOM_BYTES },
  format: { type: 'string', about: 'hex or base64.', default: 'base64' },
  source: { type: 'string', about: 'Where they come from: platform, or all.', default: 'platform' },
  urlbytes: { type: 'string', about: 'How many, given in the address.', default: '' },
} as const satisfies Fields

export const digestPaths: readonly Path[] = [
  {
    pattern: 'hash',
    computesOnly: true,
    about: 'Hashes.',
    operations: { update: endpoint('Hash the input.', hashFields, hash) },
  },
  {
    pattern: 'hash/:urlalgorithm',
    computesOnly: true,
    about: 'Hashes by one algorithm.',
    operations: { update: endpoint('Hash the input.', hashFields, hash) },
  },
  {
    pattern: 'random',
    computesOnly: true,
    about: 'Random bytes.',
    operations: { update: endpoint('Get random bytes.', randomFields, random) },
  },
  {
    pattern: 'random/:source',
    computesOnly: true,
    about: 'Random bytes from one source, or so many of them.',
    operations: { update: endpoint('Get random bytes.', randomFields, random) },
  },
  {
    pattern: 'random/:source/:urlbytes',
    computesOnly: true,
    about: 'So many random bytes from one source.',
    operations: { update: endpoint('Get random bytes.', randomFields, random) },
  },
]

async function hash({ data }: Call<typeof hashFields>): Promise<Reply> {
  const text = data.input ?? refuse('missing input')
  const input = decodeBase64(text) ?? refuse(`unable to decode input as base64: ${base64Fault(text)}`)
  const format = encoding(data.format, '')
  const name = data.urlalgorithm === '' ? data.algorithm : data.urlalgorithm
  const algorithm = hashNamed(name) ?? refuse(`unsupported algorithm ${name}`)
  const sum = createHash(algorithm.node).update(input).digest(format)
  input.fill(0)
  return { data: { sum } }
}

async function random({ data, body, path }: Call<typeof randomFields>): Promise<Reply> {
  // One place in the address is for either: what is no source is a number of bytes, and the body may name the source.
  const isCount = data.urlbytes === '' && path !== 'random' && !isSourceName(data.source)
  const source = isCount ? (body['source'] ?? 'platform') : data.source
  const urlBytes = isCount ? data.source : data.urlbytes
  if (urlBytes !== '' && !/^[+-]?\d{1,15}$/.test(urlBytes)) {
    refuse(`error parsing url-set byte count: strconv.ParseInt: parsing ${JSON.stringify(urlBytes)}: invalid syntax`)
  }
  const count = urlBytes === '' ? data.bytes : Number(urlBytes)
  if (count < 1) refuse('"bytes" cannot be less than 1')
  if (count > MAX_RANDOM_BYTES) refuse(`"bytes" should be less than ${MAX_RANDOM_BYTES}`)
  const format = encoding(data.format, '"')
  // All sources are one here: OpenSSL's, which the operating system seeds.
  if (!isSourceName(source)) refuse(`unsupported entropy source ${JSON.stringify(source)}; must be "platform" or "all"`)
  return { data: { random_bytes: randomBytes(count).toString(format) } }
}

function isSourceName(name: unknown): boolean {
  return name === 'platform' || name === 'all'
}

function encoding(format: string, quote: string): 'hex' | 'base64' {
  if (format === 'hex' || format === 'base64') return format
  refuse(`unsupported encoding format ${quote}${format}${quote}; must be "hex" or "base64"`)
}
