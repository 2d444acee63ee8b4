import type { LeaseOptions } from '#core/leases/leases.ts'
import type { Mounts } from '#core/mounts/mounts.ts'

/** The engine of a mount takes back, or extends, what it made. A mount that is gone has nothing left of it. */
export function leaseCalls(mounts: Mounts): Pick<LeaseOptions, 'revokeSecret' | 'renewSecret'> {
  return {
    revokeSecret: async ({ mount, revoke }) => {
      const mounted = await mounts.byAccessor(mount)
      await mounted?.engine.revokeLease?.({ mount: mounted.mount, revoke })
    },
    renewSecret: async ({ mount, revoke, ttlSeconds }) => {
      const mounted = await mounts.byAccessor(mount)
      await mounted?.engine.renewLease?.({ mount: mounted.mount, revoke, ttlSeconds })
    },
  }
}
