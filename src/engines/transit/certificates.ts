/** The paths of certificates for signing keys: a request for one (PKCS #10, RFC 2986), and the chain that came of it. */
import { createPublicKey, sign, X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import { bits, integer, oid, sequence } from '#lib/der.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import { ed25519Public } from './ed25519.ts'
import { pem } from './info.ts'
import {
  changeKey,
  type KeyEntry,
  keyNamed,
  nameField,
  oldestVersion,
  refuse,
  type VersionEntry,
  versionPath,
} from './key.ts'
import { materialOf } from './loaded.ts'
import { type KeyType, keyTypes, signs, type TypeName } from './types.ts'
import { usable } from './use.ts'

/** A chain from a key to its root has a few; each is kept with the key and shown with it. */
const MAX_CHAIN = 16
const MAX_PEM_BYTES = 256 * 1024

const versionField = { type: 'string', about: 'A version, or latest; without it, the latest.', default: '' } as const
const csrFields = {
  name: nameField,
  version: versionField,
  csr: { type: 'string', about: 'A request as PEM, of which all but the key is kept.', default: '' },
} as const satisfies Fields
const chainFields = {
  name: nameField,
  version: versionField,
  certificate_chain: { type: 'string', about: "PEM of the certificates, the key's own first.", required: true },
} as const satisfies Fields

export const certificatePaths: readonly Path[] = [
  {
    pattern: 'keys/:name/csr',
    about: 'A request for a certificate.',
    operations: { update: endpoint('Make a request, signed by the key.', csrFields, makeRequest) },
  },
  {
    pattern: 'keys/:name/set-certificate',
    about: 'The certificates of a key.',
    operations: { update: endpoint('Keep the chain that was issued for the key.', chainFields, setChain) },
  },
]

const noSuchKey = (name: string) => `no existing key named ${name} could be found`

function checkSigning(key: Readonly<KeyEntry>): void {
  if (!signs(keyTypes[key.type])) refuse(`key type ${key.type} does not support signing`)
  if (key.derived) refuse('operation not supported on keys with derivation enabled')
}

function chosen(key: Readonly<KeyEntry>, text: string): number {
  if (text === '' || text === 'latest' || text === '0') return key.latest_version
  const number = /^\d{1,15}$/.test(text) ? Number(text) : -1
  if (number < 0) refuse('invalid key version')
  if (number < Math.max(oldestVersion(key), key.min_decryption_version) || number > key.latest_version) {
    refuse(`key version ${number} cannot be used`)
  }
  return number
}

/** How each type signs requests (RFC 4055 §5, RFC 5758 §3.2, RFC 8410 §3), as the Go standard library chooses. */
const algorithms: Partial<Record<TypeName, { hash: string | null; id: Buffer }>> = {
  ed25519: { hash: null, id: sequence(oid('1.3.101.112')) },
  'ecdsa-p256': { hash: 'sha256', id: sequence(oid('1.2.840.10045.4.3.2')) },
  'ecdsa-p384': { hash: 'sha384', id: sequence(oid('1.2.840.10045.4.3.3')) },
  'ecdsa-p521': { hash: 'sha512', id: sequence(oid('1.2.840.10045.4.3.4')) },
}
const RSA = { hash: 'sha256', id: sequence(oid('1.2.840.113549.1.1.11'), Buffer.from([5, 0])) }

async function makeRequest({ mount, data }: Call<typeof csrFields>): Promise<Reply> {
  const key = usable(await keyNamed(mount.storage, data.name), noSuchKey(data.name))
  checkSigning(key)
  const material = await materialOf(mount, key, chosen(key, data.version))
  if (!material.private) refuse('the key has only a public part')
  const { subject, attributes } = data.csr === '' ? emptyRequest : partsOf(data.csr)
  const spki = material.public!.export({ format: 'der', type: 'spki' })
  const information = sequence(integer(Buffer.from([0])), subject, spki, attributes)
  const { hash, id } = algorithms[key.type] ?? RSA
  const signature = await promisify(sign)(hash, information, material.private)
  const der = sequence(information, id, bits(signature))
  return { data: { csr: pem('CERTIFICATE REQUEST', der.toString('base64')), name: data.name, type: key.type } }
}

const emptyRequest = { subject: sequence(), attributes: Buffer.from([0xa0, 0]) }

/** Subject and attributes of a request, byte by byte; whoever signed it does not matter, since it is signed anew. */
function partsOf(text: string): { subject: Buffer; attributes: Buffer } {
  const bad = () => refuse('failed to parse the CSR')
  const [block] = blocksOf(text, /^(?:NEW )?CERTIFICATE REQUEST$/)
  const [request, ...more] = elementsOf(block ?? bad()) ?? bad()
  const outer = more.length === 0 && request?.[0] === 0x30 ? elementsOf(contentOf(request)) : undefined
  const information = outer?.length === 3 && outer[0]![0] === 0x30 ? elementsOf(contentOf(outer[0]!)) : undefined
  const [version, subject, spki, attributes = emptyRequest.attributes, ...rest] = information ?? bad()
  const tags = [subject?.[0], spki?.[0], attributes[0]]
  if (!version?.equals(integer(Buffer.from([0]))) || rest.length > 0 || tags.join() !== '48,48,160') bad()
  return { subject: subject!, attributes }
}

/** The elements that stand behind each other, each with its head; undefined when the bytes are anything else. */
function elementsOf(der: Buffer): Buffer[] | undefined {
  const elements: Buffer[] = []
  for (let rest = der; rest.length > 0;) {
    const head = headBytes(rest)
    const end = head === undefined ? Infinity : head + lengthIn(rest, head)
    if (end > rest.length) return undefined
    elements.push(rest.subarray(0, end))
    rest = rest.subarray(end)
  }
  return elements
}

function contentOf(element: Buffer): Buffer {
  return element.subarray(headBytes(element)!)
}

/** Tag and length; tags of one byte and lengths of at most three, as requests have. */
function headBytes(der: Buffer): number | undefined {
  const second = der[1]
  if (second === undefined || (der[0]! & 0x1f) === 0x1f) return undefined
  if (second < 0x80) return 2
  const more = second & 0x7f
  return more >= 1 && more <= 3 && der.length >= 2 + more ? 2 + more : undefined
}

function lengthIn(der: Buffer, head: number): number {
  return head === 2 ? der[1]! : der.readUIntBE(2, head - 2)
}

function blocksOf(text: string, label: RegExp): Buffer[] {
  if (Buffer.byteLength(text) > MAX_PEM_BYTES) refuse(`more than ${MAX_PEM_BYTES} bytes of PEM`)
  const blocks: Buffer[] = []
  for (const [, name, body] of text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----/g)) {
    if (!label.test(name!)) refuse(`unexpected ${name} in the PEM`)
    blocks.push(Buffer.from(body!, 'base64'))
  }
  return blocks
}

async function setChain({ mount, data }: Call<typeof chainFields>): Promise<Reply> {
  const { name } = data
  const chain = chainOf(data.certificate_chain)
  const missing = () => new ApiError('invalid_request', noSuchKey(name))
  const key = await changeKey(mount, name, missing, async (stored, transaction) => {
    checkSigning(usable(stored, ''))
    const path = versionPath(stored.id, chosen(stored, data.version))
    const version = (await transaction.get<VersionEntry>(path)) ?? refuse('version does not exist or cannot be found')
    if (!chain[0]!.publicKey.equals(publicKeyOf(keyTypes[stored.type], version))) {
      refuse('leaf certificate public key does not match the key version selected')
    }
    const ders = chain.map((certificate) => certificate.raw.toString('base64'))
    transaction.put<VersionEntry>(path, { ...version, chain: ders })
    return stored
  })
  const shown = chain.map((certificate) => pem('CERTIFICATE', certificate.raw.toString('base64'))).join('')
  return { data: { certificate_chain: shown, name, type: key.type } }
}

function publicKeyOf(about: KeyType, version: VersionEntry) {
  const bytes = Buffer.from(version.public!, 'base64')
  return about.family === 'ed25519'
    ? ed25519Public(bytes)
    : createPublicKey({ key: bytes, format: 'der', type: 'spki' })
}

/** @throws ApiError `invalid_request` unless each certificate was issued by the next one */
function chainOf(text: string): X509Certificate[] {
  const blocks = blocksOf(text, /^CERTIFICATE$/)
  if (blocks.length === 0) refuse('no certificates provided in chain')
  if (blocks.length > MAX_CHAIN) refuse(`more than ${MAX_CHAIN} certificates in the chain`)
  const chain = blocks.map((der) => {
    try {
      return new X509Certificate(der)
    } catch {
      refuse('failed to parse a certificate of the chain')
    }
  })
  if (chain[0]!.ca) refuse('expected a leaf certificate in the first position of the chain')
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1]
    if (issuer && !(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey))) {
      refuse('the certificates of the chain are not in order: each must be issued by the next one')
    }
  }
  return chain
}
