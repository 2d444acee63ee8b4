/** `sys/tools`: random bytes and hashes. */
import { createHash, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { base64Fault, decodeBase64 } from '#lib/base64.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'

const MAX_RANDOM_BYTES = 128 * 1024

const randomFields = {
  bytes: { type: 'integer', about: 'How many bytes.', default: 32 },
  format: { type: 'string', about: '`base64` or `hex`.', default: 'base64' },
  source: { type: 'string', about: 'Where they come from: platform, seal or all. Or how many bytes.', default: '' },
  urlbytes: { type: 'string', about: 'How many bytes, where the path names them.', default: '' },
} satisfies Fields
const hashFields = {
  input: { type: 'string', about: 'What to hash, in base64.', default: '' },
  algorithm: { type: 'string', about: 'sha2- or sha3-, with 224, 256, 384 or 512 bits.', default: 'sha2-256' },
  urlalgorithm: { type: 'string', about: 'The algorithm, where the path names it.', default: '' },
  format: { type: 'string', about: '`hex` or `base64`.', default: 'hex' },
} satisfies Fields

export function toolPaths(): Path[] {
  const random = endpoint('Random bytes.', randomFields, makeRandom)
  const hash = endpoint('The hash of some bytes.', hashFields, makeHash)
  return [
    { pattern: 'tools/random', operations: { update: random } },
    { pattern: 'tools/random/:source', operations: { update: random } },
    { pattern: 'tools/random/:source/:urlbytes', operations: { update: random } },
    { pattern: 'tools/hash', operations: { update: hash } },
    { pattern: 'tools/hash/:urlalgorithm', operations: { update: hash } },
  ]
}

const makeBytes = promisify(randomBytes)

async function makeRandom({ data }: Call<typeof randomFields>): Promise<Reply> {
  const { bytes, source } = randomWish(data.source, data.urlbytes, data.bytes)
  if (bytes < 1) throw refused('"bytes" cannot be less than 1')
  if (bytes > MAX_RANDOM_BYTES) throw refused(`"bytes" should be less than ${MAX_RANDOM_BYTES}`)
  const format = encodingOf(data.format, JSON.stringify(data.format))
  if (!sources.includes(source)) {
    throw refused(`unsupported entropy source ${JSON.stringify(source)}; must be "platform" or "seal", or "all"`)
  }
  const random_bytes = (await makeBytes(bytes)).toString(format)
  // No seal of ours lends randomness; `all` mixes what there is.
  const warnings =
    source === 'seal' ? ['no seal/entropy augmentation available, using platform entropy source'] : undefined
  return { data: { random_bytes }, ...(warnings && { warnings }) }
}

const sources = ['', 'platform', 'seal', 'all']

/** `random/164` names a number where `random/seal` names a source. */
function randomWish(source: string, urlBytes: string, bytes: number): { bytes: number; source: string } {
  if (urlBytes !== '') return { bytes: byteCount(urlBytes), source }
  return sources.includes(source) ? { bytes, source } : { bytes: byteCount(source), source: '' }
}

function byteCount(text: string): number {
  if (/^[+-]?\d{1,15}$/.test(text)) return Number(text)
  const why = /^[+-]?\d+$/.test(text) ? 'value out of range' : 'invalid syntax'
  throw refused(`error parsing url-set byte count: strconv.Atoi: parsing ${JSON.stringify(text)}: ${why}`)
}

async function makeHash({ data }: Call<typeof hashFields>): Promise<Reply> {
  const input = decodeBase64(data.input)
  if (!input) throw refused(`unable to decode input as base64: ${base64Fault(data.input)}`)
  const format = encodingOf(data.format, data.format)
  const algorithm = data.urlalgorithm || data.algorithm
  const name = Object.hasOwn(algorithms, algorithm) ? algorithms[algorithm] : undefined
  if (name === undefined) throw refused(`unsupported algorithm ${algorithm}`)
  return { data: { sum: createHash(name).update(input).digest(format) } }
}

const algorithms: Readonly<Record<string, string>> = {
  'sha2-224': 'sha224',
  'sha2-256': 'sha256',
  'sha2-384': 'sha384',
  'sha2-512': 'sha512',
  'sha3-224': 'sha3-224',
  'sha3-256': 'sha3-256',
  'sha3-384': 'sha3-384',
  'sha3-512': 'sha3-512',
}

function encodingOf(format: string, shown: string): 'hex' | 'base64' {
  if (format === 'hex' || format === 'base64') return format
  throw refused(`unsupported encoding format ${shown}; must be "hex" or "base64"`)
}

function refused(message: string): ApiError {
  return new ApiError('invalid_request', message)
}
