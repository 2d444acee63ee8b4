/** Names that a server knows, for completion: as far as the token that lies at hand may list them. */
import { isObject } from './json.ts'
import { locate } from './kv.ts'
import { toSecret } from './secret.ts'
import type { Session } from './session.ts'

type Names = (session: Session, start: string, flags: Readonly<Record<string, unknown>>) => Promise<string[]>

/** More would fill a screen and help nobody. */
const MAX_NAMES = 200

export const mounts: Names = async (session) => await keysOf(session, 'sys/internal/ui/mounts', 'secret')

export const authMounts: Names = async (session) => await keysOf(session, 'sys/internal/ui/mounts', 'auth')

export const devices: Names = async (session) => await keysOf(session, 'sys/audit', undefined)

export const policies: Names = async (session) => await listed(session, 'sys/policies/acl')

/** Mounts first; below one, what lists there. */
export const paths: Names = async (session, start) => {
  const folder = start.slice(0, start.lastIndexOf('/') + 1)
  if (folder === '') return [...(await mounts(session, start, {})), 'auth/', 'sys/']
  return (await listed(session, folder)).map((name) => folder + name)
}

export const kvPaths: Names = async (session, start, { mount }) => {
  const folder = start.slice(0, start.lastIndexOf('/') + 1)
  if (folder === '' && typeof mount !== 'string') return await mounts(session, start, {})
  const place = await locate(session, typeof mount === 'string' ? mount : undefined, folder)
  return (await listed(session, `${place.path('metadata')}/`)).map((name) => folder + name)
}

async function listed(session: Session, path: string): Promise<string[]> {
  const query = { limit: String(MAX_NAMES) }
  const keys = toSecret((await session.ask('LIST', path, { query })).json).data?.['keys']
  return Array.isArray(keys) ? keys.filter((key) => typeof key === 'string') : []
}

async function keysOf(session: Session, path: string, part: string | undefined): Promise<string[]> {
  const { data } = toSecret((await session.ask('GET', path)).json)
  const named = part === undefined ? data : data?.[part]
  return isObject(named) ? Object.keys(named).slice(0, MAX_NAMES) : []
}
