/** `sys/seal` and the key ring: its state, a new term, and when one comes by itself. */
import { rfc3339 } from '#lib/time.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import type { KeyStatus, RotationPolicy } from '#sdk/seal.ts'

/** What the composition root lends to these paths. */
export interface SealServices {
  seal(): Promise<void>
  keyRing(): {
    status(): KeyStatus
    rotate(): Promise<number>
    readonly rotation: RotationPolicy
    setRotation(rotation: RotationPolicy): Promise<void>
  }
}

const noFields = {} satisfies Fields
const rotationFields = {
  enabled: { type: 'boolean', about: 'Whether terms are replaced by themselves.' },
  max_operations: { type: 'integer', about: 'Encryptions after which a term is replaced.' },
  interval: { type: 'duration', about: 'Age at which a term is replaced; 0: age does not matter.' },
} satisfies Fields

export function sealPaths(services: SealServices): Path[] {
  const rotate = endpoint('A new term, with a key of its own for all new entries.', noFields, async () => {
    await services.keyRing().rotate()
    return {}
  })
  const config = {
    read: endpoint('When a term is replaced by itself.', noFields, async () => describeRotation(services)),
    update: endpoint('Change that.', rotationFields, (call) => changeRotation(services, call)),
  }
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
          const { term, installedAt, encryptions } = services.keyRing().status()
          return { data: { encryptions, install_time: rfc3339(installedAt), term } }
        }),
      },
    },
    { pattern: 'rotate', sudo: true, operations: { update: rotate } },
    { pattern: 'rotate/keyring', sudo: true, operations: { update: rotate } },
    { pattern: 'rotate/config', operations: config },
    { pattern: 'rotate/keyring/config', operations: config },
  ]
}

function describeRotation(services: SealServices): Reply {
  const { enabled, maxOperations, intervalSeconds } = services.keyRing().rotation
  return { data: { enabled, interval: intervalSeconds, max_operations: maxOperations } }
}

async function changeRotation(services: SealServices, { data }: Call<typeof rotationFields>): Promise<Reply> {
  const ring = services.keyRing()
  const { enabled, maxOperations, intervalSeconds } = ring.rotation
  await ring.setRotation({
    enabled: data.enabled ?? enabled,
    maxOperations: data.max_operations ?? maxOperations,
    intervalSeconds: data.interval ?? intervalSeconds,
  })
  return {}
}
