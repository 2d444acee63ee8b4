/** `sys/seal` and the state of the key ring. */
import { rfc3339 } from '#lib/time.ts'
import { endpoint, type Path } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import type { KeyStatus } from '#sdk/seal.ts'

export interface SealServices {
  seal(): Promise<void>
  keyStatus(): KeyStatus
}

const noFields = {} satisfies Fields

export function sealPaths(services: SealServices): Path[] {
  return [
    {
      pattern: 'seal',
      sudo: true,
      operations: {
        update: endpoint('Forget the keys until shares are given again.', noFields, async () => {
          await services.seal()
          return {}
        }),
      },
    },
    {
      pattern: 'key-status',
      repeatsData: true,
      operations: {
        read: endpoint('The key that new entries are encrypted with.', noFields, async () => {
          const { term, installedAt, encryptions } = services.keyStatus()
          return { data: { encryptions, install_time: rfc3339(installedAt), term } }
        }),
      },
    },
  ]
}
