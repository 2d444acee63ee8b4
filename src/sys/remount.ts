/** `sys/remount`: move a mount to another path. */
import { trimSlashes } from '#lib/slashes.ts'
import { setTimeout as wait } from 'node:timers/promises'
import type { MountKind } from '#core/mounts/entry.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, found } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import type { MountServices } from './mounts.ts'

const moveFields = {
  from: { type: 'string', about: 'Where it is, e.g. `secret` or `auth/approle`.', default: '' },
  to: { type: 'string', about: 'Where it shall be.', default: '' },
} satisfies Fields
const statusFields = {
  migration_id: { type: 'string', about: 'Id that the move was answered with.', required: true },
} satisfies Fields

/** A move with few leases is over by then, and who asks next finds the mount in its new place. */
const ANSWER_AFTER_MS = 2000

export function remountPaths(services: MountServices): Path[] {
  return [
    {
      pattern: 'remount',
      sudo: true,
      repeatsData: true,
      operations: {
        update: endpoint('Move a mount. What it gave out is taken back.', moveFields, (call) => move(services, call)),
      },
    },
    {
      pattern: 'remount/status/:migration_id',
      repeatsData: true,
      operations: {
        read: endpoint('How a move stands.', statusFields, (call) => status(services, call)),
      },
    },
  ]
}

async function move({ mounts, revokeAll }: MountServices, { data }: Call<typeof moveFields>): Promise<Reply> {
  const [from, to] = [placeOf(data.from, 'from'), placeOf(data.to, 'to')]
  if (from.kind !== to.kind) {
    throw new ApiError('invalid_request', 'cannot move a secrets engine to an auth path, or an auth method from one')
  }
  const { id, done } = await mounts.move(from.kind, from.path, to.path, revokeAll)
  const stop = new AbortController()
  await Promise.race([done, wait(ANSWER_AFTER_MS, undefined, { signal: stop.signal, ref: false }).catch(() => {})])
  stop.abort()
  const text =
    "Mount move has been queued. Progress will be reported in Strongroom's server log, tagged with the returned migration_id"
  return { data: { migration_id: id }, warnings: [text] }
}

async function status({ mounts }: MountServices, { data }: Call<typeof statusFields>): Promise<Reply> {
  const { source, target, status: state } = found(await mounts.moveStatus(data.migration_id))
  const info = { source_mount: source, target_mount: target, status: state }
  return { data: { migration_id: data.migration_id, migration_info: info } }
}

function placeOf(given: string, field: string): { kind: MountKind; path: string } {
  const path = trimSlashes(given)
  if (path === '') throw new ApiError('invalid_request', `'${field}' must be specified`)
  return path.startsWith('auth/') ? { kind: 'auth', path: path.slice('auth/'.length) } : { kind: 'secret', path }
}
