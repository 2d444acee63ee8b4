/** Revocation: `revoke`, and the end of a certificate's lease. */
import { createPrivateKey } from 'node:crypto'
import { isKeyOf } from '#lib/key-pair.ts'
import { rfc3339 } from '#lib/time.ts'
import { parsePem } from '#lib/x509/pem.ts'
import { type ReadCertificate, readCertificate, signedBy } from '#lib/x509/read.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import { type CertificateEntry, certificateOf } from './certificates.ts'
import { refresh } from './crl-build.ts'
import { crlSettings } from './crl-settings.ts'
import { putRevocation, type RevokedEntry } from './crl-store.ts'
import { sharedIssuers, issuerOf } from './issuer-store.ts'
import { refuse } from './key-store.ts'
import { colons, parseSerial } from './serials.ts'

const revokeFields = {
  serial_number: { type: 'string', about: 'Serial number of the certificate, with colons or hyphens.', default: '' },
  certificate: { type: 'string', about: 'The certificate itself, in PEM; it need not be kept here.', default: '' },
} as const satisfies Fields

const withKeyFields = {
  ...revokeFields,
  private_key: { type: 'string', about: 'The private key of the certificate, in PEM.', default: '' },
} as const satisfies Fields

export const revokePaths: readonly Path[] = [
  {
    pattern: 'revoke',
    operations: { update: endpoint('Revoke a certificate.', revokeFields, revoke) },
  },
  {
    pattern: 'revoke-with-key',
    operations: { update: endpoint('Revoke a certificate by showing its key.', withKeyFields, revokeWithKey) },
  },
]

/** Whoever has the key may end what it is good for: this path is for policies that do not allow `revoke`. */
async function revokeWithKey({ mount, data }: Call<typeof withKeyFields>): Promise<Reply> {
  const target = await revocationTarget(mount, data)
  if (data.private_key === '') refuse('The private key must be provided.')
  const read = readCertificate(Buffer.from(target.certificate, 'base64'))
  if (!read.ok || !(await isKeyIn(data.private_key, read.value)))
    refuse('provided private key does not match the certificate')
  return await revocationReply(mount, target)
}

async function isKeyIn(pem: string, { key }: ReadCertificate): Promise<boolean> {
  try {
    return await isKeyOf(createPrivateKey(pem), key)
  } catch {
    // OpenSSL's words may hold parts of what it was given.
    return false
  }
}

async function revoke({ mount, data }: Call<typeof revokeFields>): Promise<Reply> {
  const target = await revocationTarget(mount, data)
  return await revocationReply(mount, target)
}

export interface Target extends CertificateEntry {
  serial: string
}

/** What `serial_number` or `certificate` mean. @throws ApiError when it was not issued here */
export async function revocationTarget(
  mount: Mount,
  { serial_number: serialText, certificate: pem }: { serial_number: string; certificate: string },
): Promise<Target> {
  if (serialText === '' && pem === '') refuse('The serial number or certificate to revoke must be provided.')
  if (serialText !== '' && pem !== '') refuse('Must provide either the certificate or the serial to revoke; not both.')
  if (pem !== '') return await targetOfCertificate(mount, pem)
  const serial = parseSerial(serialText)
  const entry = serial === undefined ? undefined : await certificateOf(mount.storage, serial)
  if (serial === undefined || !entry) return refuse(`certificate with serial ${serialText} not found.`)
  return { ...entry, serial }
}

async function targetOfCertificate(mount: Mount, pem: string): Promise<Target> {
  const block = parsePem(pem)?.[0]
  if (!block) return refuse('certificate contains no PEM data')
  const read = readCertificate(block.bytes)
  if (!read.ok) return refuse('certificate could not be parsed')
  const { value } = read
  const kept = await certificateOf(mount.storage, value.serial)
  if (kept && kept.certificate !== value.raw.toString('base64')) {
    refuse('certificate presented for revocation does not match the one with this serial number')
  }
  if (kept) return { ...kept, serial: value.serial }
  const issuer = await issuerAmong(mount, value)
  return {
    serial: value.serial,
    certificate: value.raw.toString('base64'),
    issuer_id: issuer.id,
    crl_id: issuer.crl_id,
    not_after_ms: value.notAfter.getTime(),
  }
}

async function issuerAmong(mount: Mount, certificate: ReadCertificate): Promise<{ id: string; crl_id: string }> {
  for (const entry of await sharedIssuers(mount.storage)) {
    const issuer = issuerOf(entry).certificate
    if (issuer.subject.equals(certificate.issuer) && signedBy(certificate, issuer.key)) return entry
  }
  return refuse(
    'unable to verify signature on presented cert from any present issuer in this mount; certificates from previous CAs will need to have their issuing CA and key re-imported if revocation is necessary',
  )
}

export async function revocationReply(mount: Mount, target: Target): Promise<Reply> {
  const { storage, clock } = mount
  const before = await storage.get<RevokedEntry>(`revoked/${target.serial}`)
  if (!before) {
    const isIssuer = (await sharedIssuers(storage)).some(
      (each) => each.serial === target.serial && each.certificate === target.certificate,
    )
    if (isIssuer) refuse(`adding issuer (${target.issuer_id}) to its own CRL is not allowed`)
    const over = target.not_after_ms < clock.now().getTime()
    if (over && !(await crlSettings(storage)).allow_expired_cert_revocation) {
      const serial = colons(target.serial)
      return { warnings: [`certificate with serial ${serial} already expired; refusing to add to CRL`] }
    }
  }
  const entry = await revokeNow(mount, target)
  const at = new Date(entry.revoked_at_ms)
  return {
    data: {
      revocation_time: Math.floor(at.getTime() / 1000),
      revocation_time_rfc3339: rfc3339(at),
      state: 'revoked',
    },
  }
}

/** Once: the first revocation counts, and its time. */
export async function revokeNow(mount: Mount, target: Target): Promise<RevokedEntry> {
  const { serial, ...rest } = target
  const { entry, fresh } = await mount.storage.transact((transaction) =>
    putRevocation(transaction, serial, { ...rest, revoked_at_ms: mount.clock.now().getTime() }),
  )
  if (fresh) await refresh(mount, entry.crl_id)
  return entry
}

/** A lease ended. What is over, or not known any more, needs no revocation. */
export async function revokeLease({
  mount,
  revoke: what,
}: {
  mount: Mount
  revoke: Record<string, unknown>
}): Promise<void> {
  const { serial_number: serial, issuer_id: issuerId, crl_id: crlId, not_after_ms: notAfterMs, certificate } = what
  if (typeof serial !== 'string') return
  const kept = await certificateOf(mount.storage, serial)
  const known = typeof issuerId === 'string' && typeof crlId === 'string' && typeof notAfterMs === 'number'
  const target =
    kept ??
    (known && typeof certificate === 'string'
      ? { issuer_id: issuerId, crl_id: crlId, not_after_ms: notAfterMs, certificate }
      : undefined)
  if (!target) return
  if (target.not_after_ms <= mount.clock.now().getTime()) return
  await revokeNow(mount, { ...target, serial })
}
