/** The services behind the barrier, joined to each other and to the system's own paths; none of them at work yet. */
import { auditDevices } from '#audit/registry.ts'
import { Audit } from '#core/audit/audit.ts'
import { AuditDevices } from '#core/audit/devices.ts'
import { Identity } from '#core/identity/identity.ts'
import { templatesOf } from '#core/identity/templates.ts'
import { Leases } from '#core/leases/leases.ts'
import { Lockout } from '#core/lockout.ts'
import type { OtherThreads, RevokeAll } from '#core/mounts/departure.ts'
import type { Mounts } from '#core/mounts/mounts.ts'
import { Passwords } from '#core/passwords/passwords.ts'
import { Policies } from '#core/policies/store.ts'
import { type QuotaOptions, Quotas } from '#core/quotas/quotas.ts'
import { Settings } from '#core/settings/settings.ts'
import { Tokens } from '#core/tokens/tokens.ts'
import { Wrapping } from '#core/wrapping.ts'
import { dropCubbyhole } from '#engines/cubbyhole/engine.ts'
import type { Core } from '#request/core.ts'
import { Measures } from '#request/measure.ts'
import type { Barrier } from '#seal/barrier.ts'
import { type SystemServices, systemEngine } from '#sys/engine.ts'
import { identityEngine } from '#sys/identity/engine.ts'
import { tokenEngine } from '#sys/token/engine.ts'
import type { Engine, Mount } from '#sdk/engine.ts'
import { leaseCalls } from './lease-calls.ts'
import type { ServerLog } from './log.ts'
import type { NodeOptions } from './node-options.ts'
import type { Observation } from './observation.ts'

/** What the server itself adds to the system's own paths: its seal, its log, how it is reached. */
export type OwnServices = Pick<
  SystemServices,
  | 'metrics'
  | 'clock'
  | 'telemetry'
  | 'inFlight'
  | 'barePaths'
  | 'configState'
  | 'seal'
  | 'keyRing'
  | 'sealKeys'
  | 'unauthedRekey'
  | 'apiAddress'
> & { serverLog: ServerLog }

/** What the services have to tell or ask other threads of this server; none where it has one thread. */
export interface Threads {
  /** In the main thread: audit devices have changed, or the one that is named is about to go. */
  devicesChanged?: (without?: string) => Promise<void>
  mounts?: OtherThreads
  /** In a worker: who keeps the windows of clients. */
  spend?: NonNullable<QuotaOptions['spend']>
}

/** What every mount gets besides its own. */
export type ForMounts = Pick<Mount, 'passwords' | 'templates'> & { others?: OtherThreads | undefined }

interface Surroundings {
  options: Pick<NodeOptions, 'fixedHeaders' | 'userLockout' | 'disableUserLockout'>
  observation: Pick<Observation, 'metrics' | 'tracing'>
  threads?: Threads
  own: OwnServices
  /** @param builtin  filled when everything else is there */
  mountsWith: (builtin: Record<string, Engine>, given: ForMounts) => Mounts
  /** Of audit devices, for the server's own log. */
  report: (text: string) => void
}

export function joinCore(
  barrier: Barrier,
  { options, observation, threads = {}, own, mountsWith, report }: Surroundings,
): { core: Core; auditTable: AuditDevices; revokeAll: RevokeAll } {
  const { clock, serverLog } = own
  const { metrics } = observation
  const tokens = new Tokens({ storage: barrier.storage('core/token/'), clock })
  const policies = new Policies(barrier.storage('core/policy/'), { clock })
  const passwords = new Passwords(barrier.storage('core/password-policy/'))
  const settings = new Settings(barrier.storage('core/settings/'), options.fixedHeaders)
  const identity = new Identity({ storage: barrier.storage('core/identity/'), clock })
  const lockout = new Lockout({
    storage: barrier.storage('core/lockout/'),
    clock,
    ...(options.userLockout && { config: options.userLockout }),
    disabled: options.disableUserLockout ?? false,
  })
  const audit = new Audit({ report, metrics })
  const auditTable = new AuditDevices({
    audit,
    storage: barrier.storage('core/audit/'),
    kinds: auditDevices,
    ...(threads.devicesChanged && { changed: threads.devicesChanged }),
  })
  const builtin: Record<string, Engine> = {}
  const mounts = mountsWith(builtin, { passwords, templates: templatesOf(identity), others: threads.mounts })
  const quotas = new Quotas({
    storage: barrier.storage('core/quota/'),
    clock,
    mounts,
    tokens,
    metrics,
    ...(threads.spend && { spend: threads.spend }),
  })
  const storage = barrier.storage('core/lease/')
  const leases = new Leases({ census: quotas.census, storage, clock, tokens, ...leaseCalls(mounts) })
  const wrapping = new Wrapping({ storage: barrier.storage('core/wrapping/'), tokens, clock })
  const revokeAll = (route: string) => leases.revokePrefix(route, { sync: true, force: false })
  const services = { mounts, policies, identity, lockout, tokens, quotas, leases, wrapping, settings }
  builtin['system'] = systemEngine({
    ...own,
    ...services,
    passwords,
    auditDevices: auditTable,
    revokeAll,
    reload: { audit: () => audit.reload(), log: async () => serverLog.reopen() },
    makeRootToken: async (text) => void (await tokens.createRoot(text)),
  })
  builtin['identity'] = identityEngine(identity)
  builtin['token'] = tokenEngine({ tokens, leases, policies, mounts, identity })
  tokens.onRevoke(async ({ cubbyhole }) => {
    const mounted = await mounts.at('secret', 'cubbyhole')
    if (mounted && cubbyhole !== '') await dropCubbyhole(mounted.mount.storage, cubbyhole)
  })
  const measures = new Measures(metrics, observation.tracing)
  return { core: { ...services, audit, clock, measures }, auditTable, revokeAll }
}
