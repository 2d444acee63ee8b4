/** `kv patch` */
import type { ClientReply } from '#client/client.ts'
import { ClientError } from '#client/errors.ts'
import { command } from '#cli/command.ts'
import { parseData } from '#cli/data-arguments.ts'
import { attempt, CommandFailure, UsageError } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { locate, mountFlag, printWritten } from '#cli/kv.ts'
import { toSecret } from '#cli/secret.ts'
import type { Session } from '#cli/session.ts'

export const patch = command({
  usage: '[options] KEY [DATA K=V...]',
  details:
    'Writes a new version of a secret that differs from the newest one only in the fields given. Needs version 2 of the engine.\n\nWithout -method the server is asked to patch; if it cannot, or the token may not, the secret is read and written as a whole.',
  examples: [
    { about: 'Change one field:', words: 'strongroom kv patch -mount=secret app ttl=48h' },
    { about: 'Remove one:', words: 'strongroom kv patch -remove-data=ttl secret/app' },
  ],
  flags: {
    ...mountFlag,
    cas: {
      type: 'integer',
      default: -1,
      about: 'Write only if this is the newest version. Only for the method patch; rw knows by itself.',
    },
    method: {
      type: 'string',
      choices: ['patch', 'rw'],
      about: 'patch: one request that changes the fields; rw: read, then write.',
    },
    'remove-data': { type: 'list', about: 'Name of a field to remove. May be given several times.' },
  },
  output: 'field',
  arguments: { min: 1, max: Infinity },
  async run({ flags, arguments: words, session, output }) {
    const removed = flags['remove-data']
    if (words.length === 1 && removed.length === 0) throw new UsageError('Must supply data')
    const data = { ...(await parseData(words.slice(1))), ...Object.fromEntries(removed.map((name) => [name, null])) }
    const place = await locate(session, flags.mount, words[0]!)
    if (place.version !== 2) throw new CommandFailure('K/V engine mount must be version 2 for patch support')
    const path = place.path('data')
    const readAndWrite = async () => await replaceFields(session, path, data)
    const merge = async () => await mergeFields(session, path, data, flags.cas)
    const either = async () => {
      try {
        return await merge()
      } catch (error) {
        // A server, or a policy, from before there was a way to patch.
        if (error instanceof ClientError && (error.status === 405 || error.status === 403)) return await readAndWrite()
        throw error
      }
    }
    const work = flags.method === 'rw' ? readAndWrite : flags.method === 'patch' ? merge : either
    return await printWritten(output, await attempt(`Error writing data to ${path}`, work), path)
  },
})

async function mergeFields(
  session: Session,
  path: string,
  data: Record<string, unknown>,
  cas: number,
): Promise<ClientReply> {
  try {
    return await session.request('PATCH', path, { body: { data, options: cas >= 0 ? { cas } : {} } })
  } catch (error) {
    if (error instanceof ClientError && error.status === 404) throw new CommandFailure(`No value found at ${path}`)
    throw error
  }
}

/** The version read is the one that must still be the newest, so nobody's change in between is lost. */
async function replaceFields(session: Session, path: string, changes: Record<string, unknown>): Promise<ClientReply> {
  const current = toSecret((await readNow(session, path)).json).data
  const metadata = isObject(current?.['metadata']) ? current['metadata'] : undefined
  if (!isObject(current?.['data']) || typeof metadata?.['version'] !== 'number') {
    throw new CommandFailure(`No data found at ${path}; patch only works on existing data`)
  }
  const data = Object.fromEntries(
    Object.entries({ ...current['data'], ...changes }).filter(([, value]) => value !== null),
  )
  return await session.request('PUT', path, { body: { data, options: { cas: metadata['version'] } } })
}

async function readNow(session: Session, path: string): Promise<ClientReply> {
  try {
    return await session.ask('GET', path)
  } catch (error) {
    if (error instanceof ClientError && error.status === 404) throw new CommandFailure(`No value found at ${path}`)
    throw error
  }
}
