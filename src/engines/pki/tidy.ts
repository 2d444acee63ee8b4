/** Removing certificates, revocations and issuers that are over and need not be kept. */
import { setImmediate, setTimeout } from 'node:timers/promises'
import { parseDuration } from '#lib/duration.ts'
import { readCertificate } from '#lib/x509/read.ts'
import type { Mount } from '#sdk/engine.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { certificateOf, dropCertificate, ENDS, parseEndKey } from './certificates.ts'
import { rebuild } from './crl-build.ts'
import { dropRevocation, type RevokedEntry } from './crl-store.ts'
import { allIssuers, deleteIssuer, type IssuerConfig, issuerOf } from './issuer-store.ts'
import { refuse } from './key-store.ts'

export const tidyFields = {
  tidy_cert_store: { type: 'boolean', about: 'Remove certificates that are over.', default: false },
  tidy_revoked_certs: { type: 'boolean', about: 'Remove revocations of certificates that are over.', default: false },
  tidy_revocation_list: { type: 'boolean', about: 'Use tidy_revoked_certs.', deprecated: true, default: false },
  tidy_invalid_certs: { type: 'boolean', about: 'Remove entries that are no certificates.', default: false },
  tidy_revoked_cert_issuer_associations: {
    type: 'boolean',
    about: 'Nothing to do here: revocations keep their issuer.',
    default: false,
  },
  tidy_expired_issuers: {
    type: 'boolean',
    about: 'Remove issuers that are over, but the default one.',
    default: false,
  },
  tidy_move_legacy_ca_bundle: { type: 'boolean', about: 'Nothing of that kind is kept here.', default: false },
  tidy_acme: { type: 'boolean', about: 'Remove what ACME clients left.', default: false },
  safety_buffer: { type: 'duration', about: 'How long after its end a certificate is kept.', default: 259_200, min: 0 },
  revoked_safety_buffer: { type: 'duration', about: 'The same for revocations; safety_buffer unless given.', min: 0 },
  issuer_safety_buffer: { type: 'duration', about: 'The same for issuers.', default: 31_536_000, min: 0 },
  acme_account_safety_buffer: { type: 'duration', about: 'The same for ACME accounts.', default: 2_592_000, min: 0 },
  page_size: { type: 'integer', about: 'How many are looked at in one go.', default: 1000, min: 1, max: 10_000 },
  pause_duration: { type: 'string', about: 'How long to rest after each.', default: '0s' },
} as const satisfies Fields

export type TidyOptions = Data<typeof tidyFields>

const operations = [
  'tidy_cert_store',
  'tidy_revoked_certs',
  'tidy_revocation_list',
  'tidy_invalid_certs',
  'tidy_revoked_cert_issuer_associations',
  'tidy_expired_issuers',
  'tidy_move_legacy_ca_bundle',
  'tidy_acme',
] as const

export const anyOperation = (options: Pick<TidyOptions, (typeof operations)[number]>): boolean =>
  operations.some((name) => options[name])

export interface TidyRun {
  options: TidyOptions
  state: 'Running' | 'Cancelling' | 'Finished' | 'Error' | 'Cancelled'
  startedAt: Date
  finishedAt?: Date
  error?: string
  message: string
  certificates: number
  revocations: number
  work: Promise<void>
}

/** The last run of each mount, by its uuid: what `tidy-status` tells. A mount has one at a time. */
const runs = new Map<string, TidyRun>()
/** More mounts than anybody has; the oldest run is forgotten. */
const MAX_RUNS = 1000
/** Certificates parsed in one go, some milliseconds' worth; then others have their turn. */
const PARSED_AT_ONCE = 50

export const tidyRun = ({ uuid }: Mount): TidyRun | undefined => runs.get(uuid)

export function checkTidy({
  safety_buffer,
  issuer_safety_buffer,
  pause_duration,
}: Pick<TidyOptions, 'safety_buffer' | 'issuer_safety_buffer' | 'pause_duration'>): void {
  if (safety_buffer < 1) refuse('safety_buffer must be greater than zero')
  if (issuer_safety_buffer < 1) refuse('issuer_safety_buffer must be greater than zero')
  const pause = parseDuration(pause_duration)
  if (pause === undefined || pause < 0) refuse('received invalid, negative pause_duration')
}

/** Behind the answer, since it may take long. @returns undefined when one is on its way */
export function beginTidy(mount: Mount, options: TidyOptions): TidyRun | undefined {
  const last = runs.get(mount.uuid)
  if (last?.state === 'Running' || last?.state === 'Cancelling') return undefined
  const run: TidyRun = {
    options,
    state: 'Running',
    startedAt: mount.clock.now(),
    message: 'Tidying',
    certificates: 0,
    revocations: 0,
    work: Promise.resolve(),
  }
  runs.delete(mount.uuid)
  runs.set(mount.uuid, run)
  const [oldest] = runs.keys()
  if (runs.size > MAX_RUNS && oldest !== undefined) runs.delete(oldest)
  run.work = tidyAll(mount, run)
  return run
}

async function tidyAll(mount: Mount, run: TidyRun): Promise<void> {
  try {
    const { options } = run
    if (options.tidy_cert_store) await tidyCertificates(mount, run)
    if (options.tidy_invalid_certs) await tidyInvalid(mount, run)
    if (options.tidy_revoked_certs || options.tidy_revocation_list) await tidyRevocations(mount, run)
    if (options.tidy_expired_issuers) await tidyIssuers(mount, options.issuer_safety_buffer)
    run.state = run.state === 'Cancelling' ? 'Cancelled' : 'Finished'
  } catch (error) {
    run.state = 'Error'
    run.error = error instanceof Error ? error.message : 'failed'
  }
  run.message = ''
  run.finishedAt = mount.clock.now()
}

async function tidyCertificates(mount: Mount, run: TidyRun): Promise<void> {
  const { storage } = mount
  const beforeMs = mount.clock.now().getTime() - run.options.safety_buffer * 1000
  let after: string | undefined
  for (;;) {
    const keys = await storage.keys(ENDS, { after, limit: run.options.page_size })
    const over = keys.map(parseEndKey).filter(({ notAfterMs }) => notAfterMs < beforeMs)
    if (over.length > 0) {
      await storage.transact(async (transaction) => {
        for (const { serial, notAfterMs } of over) dropCertificate(transaction, serial, notAfterMs)
      })
    }
    run.certificates += over.length
    after = keys.at(-1)
    if (over.length < run.options.page_size || run.state !== 'Running') return
    await rest(run)
  }
}

/** Entries that hold no certificate: none should, but a restored backup of something else may bring some. */
async function tidyInvalid({ storage }: Mount, run: TidyRun): Promise<void> {
  let after: string | undefined
  for (;;) {
    const serials = await storage.list('cert/', { after, limit: PARSED_AT_ONCE })
    for (const serial of serials) {
      const entry = await certificateOf(storage, serial)
      if (!entry || readCertificate(Buffer.from(entry.certificate, 'base64')).ok) continue
      await storage.transact(async (transaction) => dropCertificate(transaction, serial, entry.not_after_ms))
      run.certificates += 1
    }
    after = serials.at(-1)
    if (serials.length < PARSED_AT_ONCE || run.state !== 'Running') return
    await rest(run)
  }
}

/** Lists are made anew when some were taken out. */
async function tidyRevocations(mount: Mount, run: TidyRun): Promise<void> {
  const { storage } = mount
  const buffer = run.options.revoked_safety_buffer || run.options.safety_buffer
  const beforeMs = mount.clock.now().getTime() - buffer * 1000
  const lists = new Set<string>()
  let after: string | undefined
  for (;;) {
    const serials = await storage.list('revoked/', { after, limit: run.options.page_size })
    for (const serial of serials) {
      const entry = await storage.get<RevokedEntry>(`revoked/${serial}`)
      if (!entry || entry.not_after_ms >= beforeMs) continue
      await storage.transact((transaction) => dropRevocation(transaction, serial))
      lists.add(entry.crl_id)
      run.revocations += 1
    }
    after = serials.at(-1)
    if (serials.length < run.options.page_size || run.state !== 'Running') break
    await rest(run)
  }
  for (const crlId of lists) await rebuild(mount, 'crl', crlId)
}

async function tidyIssuers(mount: Mount, bufferSeconds: number): Promise<void> {
  const beforeMs = mount.clock.now().getTime() - bufferSeconds * 1000
  await mount.storage.transact(async (transaction) => {
    const config = await transaction.get<IssuerConfig>('config/issuers')
    for (const issuer of await allIssuers(transaction)) {
      const over = issuerOf(issuer).certificate.notAfter.getTime() < beforeMs
      if (over && issuer.id !== config?.default) await deleteIssuer(transaction, issuer)
    }
  })
}

async function rest({ options }: TidyRun): Promise<void> {
  const ms = (parseDuration(options.pause_duration) ?? 0) * 1000
  if (ms > 0) await setTimeout(ms, undefined, { ref: false })
  else await setImmediate()
}
