/** Lists of somebody else's items: `issuer/:issuer_ref/sign-revocation-list` and `…/resign-crls`. Nothing of them is kept. */
import { isOid, integer, oid, octets, boolean, sequence, time } from '#lib/der.ts'
import { parseDuration } from '#lib/duration.ts'
import { signingWith } from '#lib/x509/algorithms.ts'
import { makeCrl } from '#lib/x509/crl.ts'
import { authorityKeyId, crlNumber, deltaIndicator, extension, oids } from '#lib/x509/extensions.ts'
import { encodePem, parsePem } from '#lib/x509/pem.ts'
import { readCrl } from '#lib/x509/read-crl.ts'
import { signedBy } from '#lib/x509/read.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { type Data, type Fields, isObject } from '#sdk/schema.ts'
import { MAX_SECONDS } from './crl-settings.ts'
import { issuerRef } from './fields.ts'
import { type Signer, signerFor } from './issuer-store.ts'
import { refuse } from './key-store.ts'
import { issuerKeyId } from './leaf.ts'
import { parseSerial } from './serials.ts'

const listFields = {
  issuer_ref: issuerRef,
  crl_number: { type: 'integer', about: 'Number of the list.', min: 0 },
  delta_crl_base_number: { type: 'integer', about: 'The list is a delta to this number; -1: none.', default: -1 },
  next_update: { type: 'string', about: 'How long the list is valid.', default: '72h' },
  format: { type: 'string', about: 'pem or der (base64).', default: 'pem' },
} as const satisfies Fields

const signFields = {
  ...listFields,
  revoked_certs: { type: 'any', about: 'Objects with serial_number, revocation_time and extensions.' },
  extensions: { type: 'any', about: 'Objects with id, critical and value (base64).' },
} as const satisfies Fields

const resignFields = {
  ...listFields,
  crls: { type: 'strings', about: 'Lists of this issuer, in PEM, to be made one.' },
} as const satisfies Fields

/** Items of one list here. */
const MAX_ITEMS = 100_000
const MAX_EXTENSIONS = 50

export const crlSignPaths: readonly Path[] = [
  {
    pattern: 'issuer/:issuer_ref/sign-revocation-list',
    operations: { update: endpoint('Sign a list of these certificates.', signFields, signList) },
  },
  {
    pattern: 'issuer/:issuer_ref/resign-crls',
    operations: { update: endpoint('Make several lists of an issuer one.', resignFields, resign) },
  },
]

async function signList({ mount, data }: Call<typeof signFields>): Promise<Reply> {
  const now = mount.clock.now()
  const given: unknown = data.revoked_certs ?? []
  if (!Array.isArray(given) || given.length > MAX_ITEMS)
    return refuse(`revoked_certs must be a list of at most ${MAX_ITEMS} objects`)
  const items = given.map((each) => itemOf(each, now))
  const extensions = extensionsOf(data.extensions)
  const taken: string[] = [oids.crlNumber, oids.deltaIndicator, oids.authorityKeyId]
  if (extensions.some(({ id }) => taken.includes(id)))
    refuse('extensions that the server makes itself may not be given')
  const signer = await signerFor(mount, data.issuer_ref, 'crl-signing')
  const more = extensions.map(({ id, value, critical }) => extension(id, value, critical))
  return await reply(data, signer, now, Buffer.concat(items), more)
}

async function resign({ mount, data }: Call<typeof resignFields>): Promise<Reply> {
  const lists = data.crls ?? []
  if (lists.length === 0) refuse('missing parameter crls')
  const signer = await signerFor(mount, data.issuer_ref, 'crl-signing')
  const items = new Map<string, Buffer>()
  for (const [index, text] of lists.entries()) {
    const block = parsePem(text)?.[0]
    const read = block && readCrl(block.bytes)
    if (!read?.ok) return refuse(`failed parsing the CRL with index ${index}`)
    const { value } = read
    if (!value.issuer.equals(signer.certificate.subject) || !signedBy(value, signer.certificate.key)) {
      return refuse(`the CRL with index ${index} was not signed by the requested issuer`)
    }
    for (const { serial, raw } of value.items) if (!items.has(serial)) items.set(serial, raw)
    if (items.size > MAX_ITEMS) refuse(`a list made here has at most ${MAX_ITEMS} items`)
  }
  return await reply(data, signer, mount.clock.now(), Buffer.concat([...items.values()]), [])
}

async function reply(
  data: Data<typeof listFields>,
  signer: Signer,
  now: Date,
  items: Buffer,
  more: readonly Buffer[],
): Promise<Reply> {
  const { crl_number: number, delta_crl_base_number: base, format } = data
  if (number === undefined) return refuse('crl_number parameter must be 0 or greater')
  if (base < -1) refuse('delta_crl_base_number parameter must be -1 or greater')
  if (base >= number) refuse('delta_crl_base_number must be less than crl_number')
  if (format !== 'pem' && format !== 'der') refuse('the "format" path parameter must be "pem" or "der"')
  const seconds = parseDuration(data.next_update)
  if (seconds === undefined || seconds <= 0 || seconds > MAX_SECONDS)
    return refuse(`invalid value for next_update: ${data.next_update}`)
  const thisUpdate = new Date(Math.floor(now.getTime() / 1000) * 1000)
  const extensions = [
    authorityKeyId(issuerKeyId(signer)),
    crlNumber(number),
    ...(base >= 0 ? [deltaIndicator(base)] : []),
    ...more,
  ]
  const nextUpdate = new Date(thisUpdate.getTime() + seconds * 1000)
  const { der } = await makeCrl(
    { issuer: signer.certificate.subject, thisUpdate, nextUpdate, items, extensions },
    signingWith(signer.key),
  )
  return { data: { crl: format === 'der' ? der.toString('base64') : encodePem('X509 CRL', der).trimEnd() } }
}

function itemOf(given: unknown, now: Date): Buffer {
  const text = isObject(given) ? given['serial_number'] : undefined
  const serial = typeof text === 'string' ? parseSerial(text) : undefined
  if (!isObject(given) || serial === undefined) return refuse('each of revoked_certs needs a serial_number')
  const extensions = extensionsOf(given['extensions']).map(({ id, value, critical }) =>
    sequence(oid(id), ...(critical ? [boolean(true)] : []), octets(value)),
  )
  const at = momentOf(given['revocation_time'], now)
  return sequence(
    integer(Buffer.from(serial, 'hex')),
    time(at),
    ...(extensions.length > 0 ? [sequence(...extensions)] : []),
  )
}

/** Seconds since 1970, or RFC 3339. */
function momentOf(given: unknown, now: Date): Date {
  if (given === undefined || given === null || given === '') return now
  const isSeconds = typeof given === 'number' || (typeof given === 'string' && /^\d{1,12}$/.test(given))
  const at = isSeconds ? new Date(Number(given) * 1000) : new Date(typeof given === 'string' ? given : NaN)
  const fits = !Number.isNaN(at.getTime()) && at.getUTCFullYear() >= 1950 && at.getUTCFullYear() <= 9999
  return fits ? at : refuse('a revocation_time could not be read')
}

function extensionsOf(given: unknown): { id: string; critical: boolean; value: Buffer }[] {
  if (given === undefined || given === null) return []
  if (!Array.isArray(given) || given.length > MAX_EXTENSIONS)
    return refuse('extensions must be a short list of objects')
  return given.map((each: unknown) => {
    const { id, critical = false, value }: Record<string, unknown> = isObject(each) ? each : {}
    const fits =
      typeof id === 'string' && isOid(id) && typeof value === 'string' && /^[A-Za-z0-9+/]+={0,2}$/.test(value)
    if (!fits) return refuse('each extension needs an id and a value in base64')
    return { id, critical: critical === true || critical === 'true', value: Buffer.from(value, 'base64') }
  })
}
