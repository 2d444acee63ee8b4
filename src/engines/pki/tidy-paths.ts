/**
 * `tidy`, `tidy-status`, `tidy-cancel` and `config/auto-tidy`.
 *
 * Storage: config/auto-tidy → AutoTidy; tidy-last → LastTidy.
 */
import { rfc3339 } from '#lib/time.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { refuse } from './key-store.ts'
import { anyOperation, beginTidy, checkTidy, tidyFields, type TidyOptions, type TidyRun, tidyRun } from './tidy.ts'

const autoFields = {
  enabled: { type: 'boolean', about: 'Tidy by itself.', default: false },
  interval_duration: { type: 'duration', about: 'How long between two runs.', default: 43_200, min: 0 },
  ...tidyFields,
  maintain_stored_certificate_counts: { type: 'boolean', about: 'Count what is kept.', default: false },
  publish_stored_certificate_count_metrics: { type: 'boolean', about: 'Publish those counts.', default: false },
} as const satisfies Fields

type AutoTidy = Data<typeof autoFields>

interface LastTidy {
  at_ms: number
}

const noOperation =
  'Manual tidy requested but no tidy operations were set. Enable at least one tidy operation to be run (tidy_cert_store / tidy_revoked_certs / tidy_invalid_certs / tidy_revoked_cert_issuer_associations / tidy_expired_issuers / tidy_move_legacy_ca_bundle / tidy_acme).'

export const tidyPaths: readonly Path[] = [
  { pattern: 'tidy', operations: { update: endpoint('Remove what is over.', tidyFields, start) } },
  {
    pattern: 'tidy-status',
    operations: { read: endpoint('How the last run went, or goes.', {}, ({ mount }) => status(mount)) },
  },
  { pattern: 'tidy-cancel', operations: { update: endpoint('Stop the run soon.', {}, ({ mount }) => cancel(mount)) } },
  {
    pattern: 'config/auto-tidy',
    operations: {
      read: endpoint('Read when and what is tidied.', {}, async ({ mount }) => ({
        data: shown(await settings(mount)),
      })),
      update: endpoint('Set when and what is tidied.', autoFields, write),
    },
  },
]

async function start({ mount, data }: Call<typeof tidyFields>): Promise<Reply> {
  checkTidy(data)
  if (!beginTidy(mount, data)) return { status: 202, warnings: ['Tidy operation already in progress.'] }
  const started =
    'Tidy operation successfully started. Any information from the operation will be printed to the server logs.'
  return { status: 202, warnings: [anyOperation(data) ? started : noOperation] }
}

async function cancel(mount: Mount): Promise<Reply> {
  const run = tidyRun(mount)
  if (run?.state !== 'Running')
    return { warnings: ['Tidy operation cannot be cancelled as none is currently running.'] }
  run.state = 'Cancelling'
  return await status(mount)
}

async function status(mount: Mount): Promise<Reply> {
  const run = tidyRun(mount)
  const last = await mount.storage.get<LastTidy>('tidy-last')
  return {
    data: {
      ...shownOptions(run?.options),
      state: run?.state ?? 'Inactive',
      error: run?.error ?? null,
      message: run?.message || null,
      time_started: run ? rfc3339(run.startedAt) : null,
      time_finished: run?.finishedAt ? rfc3339(run.finishedAt) : null,
      last_auto_tidy_finished: last ? rfc3339(new Date(last.at_ms)) : null,
      cert_store_deleted_count: run?.certificates ?? null,
      revoked_cert_deleted_count: run?.revocations ?? null,
      missing_issuer_cert_count: run ? 0 : null,
      current_cert_store_count: null,
      current_revoked_cert_count: null,
      internal_backend_uuid: mount.uuid,
      acme_account_deleted_count: run ? 0 : null,
      acme_account_revoked_count: run ? 0 : null,
      acme_orders_deleted_count: run ? 0 : null,
      total_acme_account_count: run ? 0 : null,
    },
  }
}

function shownOptions(options: TidyOptions | undefined): Record<string, unknown> {
  const names = Object.keys(tidyFields) as (keyof TidyOptions)[]
  return Object.fromEntries(
    names.filter((name) => name !== 'tidy_revocation_list').map((name) => [name, options?.[name] ?? null]),
  )
}

async function settings({ storage }: Mount): Promise<AutoTidy> {
  const usual = Object.fromEntries(
    Object.entries(autoFields).map(([name, field]) => [name, 'default' in field ? field.default : undefined]),
  )
  return { ...usual, ...(await storage.get<AutoTidy>('config/auto-tidy')) } as AutoTidy
}

function shown(kept: AutoTidy): Record<string, unknown> {
  const { tidy_revocation_list: _, ...rest } = kept
  return { ...rest, revoked_safety_buffer: kept.revoked_safety_buffer ?? kept.safety_buffer }
}

async function write({ mount, data, body }: Call<typeof autoFields>): Promise<Reply> {
  const given = Object.fromEntries(Object.entries(data).filter(([name]) => Object.hasOwn(body, name)))
  const changed: AutoTidy = { ...(await settings(mount)), ...given }
  checkTidy(changed)
  if (changed.interval_duration < 1) refuse('given interval_duration must be greater than or equal to one second')
  if (changed.enabled && !anyOperation(changed))
    refuse('Auto-tidy enabled but no tidy operations were requested. Enable at least one tidy operation to be run.')
  await mount.storage.put<AutoTidy>('config/auto-tidy', changed)
  return { data: shown(changed) }
}

/** Once a minute: begin a run if one is due. */
export async function autoTidy(mount: Mount): Promise<void> {
  const options = await settings(mount)
  if (!options.enabled) return
  const nowMs = mount.clock.now().getTime()
  const last = await mount.storage.get<LastTidy>('tidy-last')
  if (last && last.at_ms + options.interval_duration * 1000 > nowMs) return
  const run: TidyRun | undefined = beginTidy(mount, options)
  if (!run) return
  await run.work
  await mount.storage.put<LastTidy>('tidy-last', { at_ms: mount.clock.now().getTime() })
}
