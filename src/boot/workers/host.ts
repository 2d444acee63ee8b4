/** What the main thread does for its workers. */
import type { Audit } from '#core/audit/audit.ts'
import type { Core } from '#request/core.ts'
import type { Gate } from '#request/gate.ts'
import type { Barrier } from '#seal/barrier.ts'
import type { Seal } from '#seal/seal.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Seat } from '#storage/sqlite/driver.ts'
import type { ServerLog } from '#boot/log.ts'
import type { NodeOptions } from '#boot/node-options.ts'
import type { Observation } from '#boot/observation.ts'
import { linesOf } from './audit-lines.ts'
import type { Host } from './crew.ts'

export interface HostParts {
  seat: () => Seat
  options: NodeOptions
  observation: Observation
  serverLog: ServerLog
  gate: Gate
  seal: Seal
  /** While its devices are open, also when the seal is not any more. */
  audit: () => Audit | undefined
  unsealed: () => { core: Core; barrier: Barrier } | undefined
}

export function hostOf({ seat, options, observation, serverLog, gate, seal, audit, unsealed }: HostParts): Host {
  const log = serverLog.named('core', 'warn')
  return {
    seat,
    options: {
      defaultLeaseTtlSeconds: options.defaultLeaseTtlSeconds,
      maxLeaseTtlSeconds: options.maxLeaseTtlSeconds,
      ...(options.userLockout && { userLockout: options.userLockout }),
      disableUserLockout: options.disableUserLockout ?? false,
      fixedHeaders: options.fixedHeaders ?? new Set(),
      traceRatio: observation.tracing?.ratio,
    },
    opening: () => {
      const open = unsealed()
      const { rootKey } = seal
      // Sealed already, while what ran behind it is still being stopped.
      if (!open || !rootKey || open.barrier !== seal.barrier) return undefined
      return { rootKey, devices: open.core.audit.describe() }
    },
    serve: {
      handle: (incoming) => gate.handle(incoming),
      record: async ({ device, bytes, ends }) => {
        const open = audit()
        if (!open)
          throw new ApiError('audit_failed', 'the request could not be audited', { reason: 'the ledger is closed' })
        await open.hold(device, linesOf({ bytes, ends }))
      },
      spend: async (asked) => await unsealed()?.core.quotas.spend(asked),
      rootKeys: () => {
        if (!seal.keyRing) throw new ApiError('sealed', 'Vault is sealed')
        return seal.keyRing.rootKeys
      },
      log: (event) => serverLog.tell(event),
      span: (span) => observation.tracing?.add(span),
    },
    collected: ({ series }) => observation.metrics.join(series),
    log,
  }
}
