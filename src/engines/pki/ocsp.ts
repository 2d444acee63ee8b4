/** `ocsp`: whether one certificate is revoked, signed by its issuer (RFC 6960). Answered without a token, as clients ask. */
import { hash } from 'node:crypto'
import { bitsOfSpki, keyIdentifier, signingWith } from '#lib/x509/algorithms.ts'
import {
  makeOcspResponse,
  type OcspAnswer,
  type OcspFailure,
  ocspFailure,
  type OcspQuestion,
  type OcspRequest,
  readOcspRequest,
} from '#lib/x509/ocsp.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import { crlSettings, secondsOf } from './crl-settings.ts'
import type { RevokedEntry } from './crl-store.ts'
import { sharedIssuers, type Issuer, issuerOf, type Signer, signerFor } from './issuer-store.ts'

const reqField = {
  req: { type: 'string', about: 'The request in DER, as base64.', required: true },
} as const satisfies Fields

export const ocspPaths: readonly Path[] = [
  {
    pattern: 'ocsp',
    unauthenticated: true,
    arbitrary: true,
    operations: {
      update: endpoint('Answer an OCSP request, sent as application/ocsp-request.', {}, ({ mount, bodyText }) =>
        answer(mount, Buffer.from(bodyText, 'latin1')),
      ),
    },
  },
  {
    pattern: 'ocsp/*req',
    unauthenticated: true,
    operations: { read: endpoint('Answer an OCSP request in the address.', reqField, answerGet) },
  },
]

async function answerGet({ mount, data }: Call<typeof reqField>): Promise<Reply> {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(data.req)) return failed('malformed')
  return await answer(mount, Buffer.from(data.req, 'base64'))
}

const statuses: Record<OcspFailure, number> = { malformed: 400, unauthorized: 401, internal: 500 }

function reply(body: Buffer, status = 200): Reply {
  return { raw: { contentType: 'application/ocsp-response', body, status } }
}

const failed = (failure: OcspFailure): Reply => reply(ocspFailure(failure), statuses[failure])

async function answer(mount: Mount, der: Buffer): Promise<Reply> {
  const settings = await crlSettings(mount.storage)
  if (settings.ocsp_disable) return failed('unauthorized')
  const request = readOcspRequest(der)
  if (!request) return failed('malformed')
  const issuer = await issuerOfAll(mount, request)
  if (!issuer) return failed('unauthorized')
  const answers = await Promise.all(request.questions.map((question) => statusOf(mount, issuer, question)))
  const producedAt = new Date(Math.floor(mount.clock.now().getTime() / 1000) * 1000)
  const validSeconds = secondsOf(settings.ocsp_expiry)
  const response = await makeOcspResponse(
    {
      answers,
      nonce: request.nonce,
      responderKeyHash: keyIdentifier(issuer.certificate.spki),
      responder: issuer.certificate.raw,
      producedAt,
      nextUpdate: validSeconds > 0 ? new Date(producedAt.getTime() + validSeconds * 1000) : undefined,
    },
    signingWith(issuer.key),
  )
  return reply(response)
}

/** One answer has one signature: all that is asked about must be of one issuer that is here and may answer. */
async function issuerOfAll(mount: Mount, { questions }: OcspRequest): Promise<Signer | undefined> {
  for (const entry of await sharedIssuers(mount.storage)) {
    if (entry.key_id === '' || !entry.usage.includes('ocsp-signing')) continue
    if (questions.every((question) => isOf(question, issuerOf(entry))))
      return await signerFor(mount, entry.id, 'ocsp-signing')
  }
  return undefined
}

function isOf(question: OcspQuestion, { certificate }: Issuer): boolean {
  const digest = (bytes: Uint8Array) => Buffer.from(hash(question.hash, bytes, 'hex'), 'hex')
  return (
    question.issuerNameHash.equals(digest(certificate.subject)) &&
    question.issuerKeyHash.equals(digest(bitsOfSpki(certificate.spki)))
  )
}

/** A serial number of another issuer says nothing of one of this. */
async function statusOf({ storage }: Mount, { entry }: Issuer, question: OcspQuestion): Promise<OcspAnswer> {
  const revoked = await storage.get<RevokedEntry>(`revoked/${question.serial}`)
  const isHere = revoked !== undefined && revoked.crl_id === entry.crl_id
  return { question, revokedAt: isHere ? new Date(Math.floor(revoked.revoked_at_ms / 1000) * 1000) : undefined }
}
