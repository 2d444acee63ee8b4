/**
 * CAs below other CAs: a request for one (`intermediate/generate`), its signing here (`root/sign-intermediate`), and the
 * signing of another root under ours (`root/sign-self-issued`).
 */
import { oid, sequence, set } from '#lib/der.ts'
import { keyTypeOf, signingWith, spkiOf } from '#lib/x509/algorithms.ts'
import { makeCertificate, makeRequest } from '#lib/x509/certificate.ts'
import { accessExtensions, authorityKeyId, basicConstraints, oids, subjectAltName } from '#lib/x509/extensions.ts'
import { encodePem, parsePem } from '#lib/x509/pem.ts'
import { type ReadCertificate, readCertificate, type ReadRequest } from '#lib/x509/read.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { askedNames, type AskedNames } from './asked-names.ts'
import {
  anyName,
  anyTime,
  authorityFields,
  authorityNames,
  issuerFields,
  keyFields,
  makeAuthority,
  subjectOfNames,
} from './authority.ts'
import { putCertificate } from './certificates.ts'
import { csrField, readCsr } from './csr.ts'
import { issuerRef } from './fields.ts'
import { shownChain } from './issue.ts'
import { type Signer, signerFor } from './issuer-store.ts'
import { putKey, refuse } from './key-store.ts'
import { issuerKeyId } from './leaf.ts'
import { certificateText, checkedFormat, checkedKeyFormat, privateKeyText } from './output.ts'
import { exported, keyFor } from './root.ts'
import { colons } from './serials.ts'
import { accessUrls, aiaWarning, isEmpty } from './urls.ts'
import { validityOf } from './validity.ts'

const requestFields = {
  ...authorityFields,
  ...keyFields,
  signature_bits: { type: 'integer', about: 'Bits of the hash that is signed; 0: what fits the key.', default: 0 },
  add_basic_constraints: { type: 'boolean', about: 'The request says that it is for a CA.', default: false },
} as const satisfies Fields

const signFields = {
  issuer_ref: issuerRef,
  csr: csrField,
  ...authorityFields,
  ...issuerFields,
  use_csr_values: { type: 'boolean', about: 'Name and names are those of the request.', default: false },
  skid: { type: 'string', about: 'Key identifier in hex; by itself the usual one.', default: '' },
} as const satisfies Fields

const selfIssuedFields = {
  issuer_ref: issuerRef,
  certificate: { type: 'string', about: 'The certificate of a root, in PEM.', default: '' },
  require_matching_certificate_algorithms: {
    type: 'boolean',
    about: 'Refuse when its key is of another type than that of the issuer.',
    default: false,
  },
} as const satisfies Fields

const generateFields = { exported, ...requestFields } as const satisfies Fields

const generate = endpoint('Make a request for a CA to be signed elsewhere.', generateFields, ({ mount, data }) =>
  generateRequest(mount, data, data.exported),
)
const crossFields = {
  exported: { type: 'string', about: 'Not used: the key is one that is here.', deprecated: true },
  ...requestFields,
} as const satisfies Fields

const cross = endpoint('Make a request for a key that is here.', crossFields, ({ mount, data }) =>
  generateRequest(mount, data, 'existing'),
)
const sign = endpoint('Sign a request for a CA.', signFields, signIntermediate)
const signSelfIssued = endpoint('Sign a root under an issuer.', selfIssuedFields, (call) => selfIssued(call))

export const intermediatePaths: readonly Path[] = [
  { pattern: 'intermediate/generate/:exported', operations: { update: generate } },
  { pattern: 'issuers/generate/intermediate/:exported', operations: { update: generate } },
  { pattern: 'intermediate/cross-sign', operations: { update: cross } },
  { pattern: 'root/sign-intermediate', operations: { update: sign } },
  { pattern: 'issuer/:issuer_ref/sign-intermediate', operations: { update: sign } },
  { pattern: 'root/sign-self-issued', sudo: true, operations: { update: signSelfIssued } },
  { pattern: 'issuer/:issuer_ref/sign-self-issued', operations: { update: signSelfIssued } },
]

const requestWarning = `${aiaWarning} Since this certificate is an intermediate, it might be useful to regenerate this certificate after fixing this problem for the root mount.`

async function generateRequest(mount: Mount, data: Data<typeof requestFields>, how: string): Promise<Reply> {
  const format = checkedFormat(data.format)
  const keyForm = checkedKeyFormat(data.private_key_format)
  const names = authorityNames(data)
  const subject = subjectOfNames(names)
  const key = await keyFor(mount, how, data)
  const asked: Buffer[] = []
  const altNames = subjectAltName(names.names, subject.length === 2)
  if (altNames) asked.push(altNames)
  if (data.add_basic_constraints) asked.push(basicConstraints(true))
  const extensionRequest = sequence(oid('1.2.840.113549.1.9.14'), set(sequence(...asked)))
  const attributes = asked.length > 0 ? [extensionRequest] : []
  const der = await makeRequest({ subject, spki: spkiOf(key), attributes }, signingWith(key, data.signature_bits))
  const { entry } = await mount.storage.transact((transaction) => putKey(transaction, key, data.key_name))
  const csr = format === 'der' ? der.toString('base64') : encodePem('CERTIFICATE REQUEST', der).trimEnd()
  const shown: Record<string, unknown> = { csr, key_id: entry.id }
  if (how === 'exported') {
    const text = privateKeyText(key, entry.type, keyForm, format)
    shown['private_key'] = text
    shown['private_key_type'] = entry.type
    if (format === 'pem_bundle') shown['csr'] = `${text}\n${csr}`
  }
  const isBare = isEmpty(await accessUrls(mount.storage, undefined, ''))
  return { data: shown, ...(isBare && { warnings: [requestWarning] }) }
}

async function signIntermediate({ mount, data, body }: Call<typeof signFields>): Promise<Reply> {
  const format = checkedFormat(data.format)
  const csr = readCsr(data.csr)
  const signer = await signerFor(mount, data.issuer_ref, 'issuing-certificates')
  const names = namesFor(data, csr)
  // A CA may be meant to outlive the one that signs it, which will be renewed.
  const validity = validityOf({
    role: anyTime(data),
    input: data,
    settings: mount.settings(),
    now: mount.clock.now(),
    issuer: { notAfter: signer.certificate.notAfter, behavior: 'permit' },
  })
  const urls = await accessUrls(mount.storage, signer.entry)
  const made = await makeAuthority({
    subject: data.use_csr_values ? csr.subject : subjectOfNames(names),
    names: names.names,
    publicKey: csr.key,
    ...(data.skid !== '' && { subjectKeyId: keyIdOf(data.skid) }),
    validity,
    urls,
    input: data,
    asksUsage: Object.hasOwn(body, 'key_usage'),
    issuer: {
      subject: signer.certificate.subject,
      keyId: issuerKeyId(signer),
      pathLength: signer.certificate.pathLength,
    },
    signingKey: signer.key,
  })
  await mount.storage.transact(async (transaction) => {
    putCertificate(transaction, made.serial, {
      certificate: made.der.toString('base64'),
      issuer_id: signer.entry.id,
      crl_id: signer.entry.crl_id,
      not_after_ms: validity.notAfter.getTime(),
    })
  })
  const warnings = [...validity.warnings]
  if (validity.notAfter > signer.certificate.notAfter) {
    warnings.push(
      `The expiration time for the signed certificate is after the CA's expiration time. If the new certificate is not treated as a root, validation paths with the certificate past the issuing CA's expiration time will fail.`,
    )
  }
  if (isEmpty(urls)) warnings.push(aiaWarning)
  return {
    data: await signedData(mount, signer, made, validity.notAfter, format),
    ...(warnings.length > 0 && { warnings }),
  }
}

function namesFor(data: Call<typeof signFields>['data'], csr: ReadRequest): AskedNames {
  const fromRequest = {
    use_csr_common_name: data.use_csr_values || data.common_name === '',
    use_csr_sans: data.use_csr_values,
  }
  return askedNames({ ...anyName(data), ...fromRequest }, { ...data, user_ids: [] }, csr)
}

function keyIdOf(text: string): Buffer {
  const hex = text.replace(/[:-]/g, '')
  return /^(?:[0-9a-fA-F]{2}){1,64}$/.test(hex)
    ? Buffer.from(hex, 'hex')
    : refuse(`cannot parse requested SKID value as hex: ${text}`)
}

async function signedData(
  mount: Mount,
  signer: Signer,
  made: { der: Buffer; serial: string },
  notAfter: Date,
  format: ReturnType<typeof checkedFormat>,
): Promise<Record<string, unknown>> {
  const chain = (await shownChain(mount, signer, false)).map((each) =>
    format === 'der' ? each.entry.certificate : each.pem,
  )
  const certificate = certificateText(made.der, format)
  return {
    certificate: format === 'pem_bundle' ? [certificate, ...chain].join('\n') : certificate,
    issuing_ca: format === 'der' ? signer.entry.certificate : signer.pem,
    ca_chain: chain,
    serial_number: colons(made.serial),
    expiration: notAfter.getTime() / 1000,
  }
}

/** Everything stays but the issuer: both certificates then are one CA to those who trust either. */
async function selfIssued({ mount, data }: Call<typeof selfIssuedFields>): Promise<Reply> {
  const certificate = selfIssuedCertificate(data.certificate)
  const signer = await signerFor(mount, data.issuer_ref, 'issuing-certificates')
  if (data.require_matching_certificate_algorithms && keyTypeOf(certificate.key) !== keyTypeOf(signer.key)) {
    refuse('the public key algorithm of the certificate does not match that of the issuer')
  }
  const urls = accessExtensions(await accessUrls(mount.storage, signer.entry))
  const replaced = [oids.authorityKeyId, ...urls.map(({ id }) => id)] as string[]
  const kept = certificate.extensions.filter(({ id }) => !replaced.includes(id)).map(({ raw }) => raw)
  const der = await makeCertificate(
    {
      serial: Buffer.from(certificate.serial, 'hex'),
      issuer: signer.certificate.subject,
      subject: certificate.subject,
      spki: certificate.spki,
      notBefore: certificate.notBefore,
      notAfter: certificate.notAfter,
      extensions: [...kept, authorityKeyId(issuerKeyId(signer)), ...urls.map(({ raw }) => raw)],
    },
    signingWith(signer.key),
  )
  return { data: { certificate: certificateText(der, 'pem'), issuing_ca: signer.pem } }
}

function selfIssuedCertificate(pem: string): ReadCertificate {
  const block = parsePem(pem)?.[0]
  if (!block) return refuse('certificate could not be PEM-decoded')
  const read = readCertificate(block.bytes)
  if (!read.ok) return refuse(`error parsing certificate: ${read.message}`)
  if (!read.value.isCa) refuse('given certificate is not a CA certificate')
  if (!read.value.issuer.equals(read.value.subject)) refuse('given certificate is not self-issued')
  return read.value
}
