/** `sys/host-info`: the machine this server runs on. */
import { hostInfo } from '#lib/host.ts'
import { rfc3339 } from '#lib/time.ts'
import { type Clock, endpoint, type Path } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'

const noFields = {} satisfies Fields

export function hostInfoPath({ clock }: { clock: Clock }): Path {
  return {
    pattern: 'host-info',
    readsOnly: true,
    operations: {
      read: endpoint('Processors, memory and disks of the machine.', noFields, async () => {
        const now = clock.now()
        return { data: { ...(await hostInfo(now)), timestamp: rfc3339(now) } }
      }),
    },
  }
}
