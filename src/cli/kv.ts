/**
 * What the kv commands share: which mount a key lies in and of which version it is, and how a new version is told.
 * The server says so at sys/internal/ui/mounts/<path>, to any token that may do anything below that mount.
 */
import type { ClientReply } from '#client/client.ts'
import { ClientError } from '#client/errors.ts'
import { CommandFailure, EXIT_LOCAL, EXIT_OK } from './failure.ts'
import { isObject } from './json.ts'
import type { Output } from './output.ts'
import { cleanPath } from './paths.ts'
import { toSecret } from './secret.ts'
import type { Session } from './session.ts'
import { heading, headingFor } from './table.ts'

export const mountFlag = {
  mount: { type: 'string', about: 'Path of the mount; KEY is then below it. Without it, KEY begins with that path.' },
} as const

export interface Place {
  version: 1 | 2
  /** Path of the key in the part of the API with that name; in version 1 there is but one. */
  path(part: 'data' | 'metadata' | 'delete' | 'undelete' | 'destroy' | 'undo' | 'search' | 'expiring'): string
}

export async function locate(session: Session, mount: string | undefined, word: string): Promise<Place> {
  const full = cleanPath(mount === undefined ? word : `${cleanPath(mount)}/${cleanPath(word)}`)
  const info = await readMount(session, mount === undefined ? full : cleanPath(mount))
  if (!info) return { version: 1, path: () => full }
  const options = isObject(info['options']) ? info['options'] : {}
  const version = options['version'] === '2' ? 2 : 1
  const at = typeof info['path'] === 'string' ? cleanPath(info['path']) : ''
  const key = full === at ? '' : full.startsWith(`${at}/`) ? full.slice(at.length + 1) : full
  return { version, path: (part) => cleanPath(version === 2 ? `${at}/${part}/${key}` : full) }
}

async function readMount(session: Session, path: string): Promise<Record<string, unknown> | undefined> {
  try {
    return toSecret((await session.ask('GET', `sys/internal/ui/mounts/${path}`)).json).data ?? undefined
  } catch (error) {
    // Servers older than version 2 of the engine do not know this path.
    if (error instanceof ClientError && error.status === 404) return undefined
    throw error
  }
}

export async function locateVersioned(
  session: Session,
  mount: string | undefined,
  word: string,
  what: string,
): Promise<Place> {
  const place = await locate(session, mount, word)
  if (place.version !== 2) throw new CommandFailure(`${what} not supported on KV Version 1`, EXIT_LOCAL)
  return place
}

/** `-versions=1,2 -versions=3` → ['1', '2', '3'] */
export function versionNumbers(list: readonly string[]): string[] {
  const numbers = list
    .flatMap((each) => each.split(','))
    .map((each) => each.trim())
    .filter((each) => each !== '')
  const bad = numbers.find((each) => !/^\d{1,15}$/.test(each))
  if (bad !== undefined) throw new CommandFailure(`invalid version "${bad}": expected a number`, EXIT_LOCAL)
  return numbers
}

/** The reply to a write: of version 2 the metadata of the new version, of version 1 nothing. */
export async function printWritten(output: Output, reply: ClientReply, path: string): Promise<number> {
  if (reply.json === undefined) {
    output.successUnlessData(`Success! Data written to: ${path}`)
    return EXIT_OK
  }
  const secret = toSecret(reply.json)
  if (output.field !== undefined || output.format !== 'table' || secret.wrap_info || !secret.data)
    return await output.reply(reply)
  output.warnings(secret.warnings)
  printPath(output, 'Secret Path', path)
  return await printSection(output, 'Metadata', secret.data)
}

export function printPath(output: Output, title: string, path: string): void {
  output.line(`${heading(title, path.length)}\n${path}\n`)
}

export async function printSection(output: Output, title: string, values: Record<string, unknown>): Promise<number> {
  output.line(headingFor(title, values))
  return await output.data(values)
}
