/** `sys/config/state/sanitized`, `sys/config/reload`, `sys/experiments` and `sys/step-down`. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'

/** What the composition root lends to these paths. */
export interface StateServices {
  /** The configuration without secrets. */
  configState(): Record<string, unknown>
  /** Parts of the server that can read what they depend on again. */
  reload: Readonly<Record<string, () => Promise<void>>>
}

const noFields = {} satisfies Fields
const reloadFields = {
  subsystem: { type: 'string', about: 'license, audit or log.', required: true },
} satisfies Fields

export function statePaths(services: StateServices): Path[] {
  return [
    {
      pattern: 'config/state/sanitized',
      operations: {
        read: endpoint('The configuration, without secrets.', noFields, async () => ({
          data: services.configState(),
        })),
      },
    },
    {
      pattern: 'config/reload/:subsystem',
      operations: {
        update: endpoint('Open the files of a part of the server again.', reloadFields, (call) =>
          reload(services, call),
        ),
      },
    },
    {
      pattern: 'experiments',
      operations: {
        read: endpoint('Features on trial; there are none.', noFields, async () => ({
          data: { available: [], enabled: [] },
        })),
      },
    },
    {
      pattern: 'step-down',
      sudo: true,
      operations: {
        update: endpoint('Leave the lead to another node; with one node nothing changes.', noFields, async () => ({})),
      },
    },
  ]
}

async function reload(services: StateServices, { data: { subsystem } }: Call<typeof reloadFields>): Promise<Reply> {
  // There is no license to read; scripts that ask for it are not to fail.
  if (subsystem === 'license') return {}
  const go = Object.hasOwn(services.reload, subsystem) ? services.reload[subsystem] : undefined
  if (!go) throw new ApiError('invalid_request', `unknown subsystem ${JSON.stringify(subsystem)}`)
  await go()
  return {}
}
