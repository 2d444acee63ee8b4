/** `kv rollback` */
import type { ClientReply } from '#client/client.ts'
import { ClientError } from '#client/errors.ts'
import { command } from '#cli/command.ts'
import { attempt, CommandFailure, UsageError } from '#cli/failure.ts'
import { isObject, parseExact } from '#cli/json.ts'
import { locateVersioned, mountFlag } from '#cli/kv.ts'
import { toSecret } from '#cli/secret.ts'
import type { Session } from '#cli/session.ts'

export const rollback = command({
  usage: '[options] KEY',
  details:
    'Writes the data of an earlier version again as a new one. Nothing is lost: the versions in between stay. Needs version 2 of the engine.',
  examples: [{ about: 'Back to version 2:', words: 'strongroom kv rollback -mount=secret -version=2 app' }],
  flags: { ...mountFlag, version: { type: 'integer', default: 0, about: 'Which version to write again.' } },
  output: 'field',
  arguments: { min: 1, max: 1 },
  async run({ flags, arguments: words, session, output }) {
    if (flags.version <= 0)
      throw new UsageError('Missing or invalid -version: expected the number of the version to write again')
    const path = (await locateVersioned(session, flags.mount, words[0]!, 'Rollback')).path('data')
    const cas = metadataOf(await readVersion(session, path, undefined), path)['version']
    const old = await readVersion(session, path, String(flags.version))
    const data = toSecret(old.json).data?.['data']
    const { destroyed, deletion_time: deletedAt } = metadataOf(old, path)
    if (destroyed === true) throw new CommandFailure('Cannot roll back to a version that has been destroyed')
    if (!isObject(data))
      throw new CommandFailure(
        `Cannot roll back to a version that has been deleted${typeof deletedAt === 'string' ? ` (${deletedAt})` : ''}`,
      )
    const reply = await attempt(
      `Error writing data to ${path}`,
      async () => await session.request('PUT', path, { body: { data, options: { cas } } }),
    )
    return await output.reply(reply)
  },
})

/** A version, also when it is deleted: the server then answers 404 with its metadata. */
async function readVersion(session: Session, path: string, version: string | undefined): Promise<ClientReply> {
  return await attempt(`Error doing pre-read at ${path}`, async () => {
    try {
      return await session.ask('GET', path, { query: { version } })
    } catch (error) {
      if (!(error instanceof ClientError) || error.status !== 404 || error.errors.length > 0) throw error
      return { status: 404, headers: {}, text: error.text, json: parseExact(error.text) }
    }
  })
}

function metadataOf(reply: ClientReply, path: string): Record<string, unknown> {
  const metadata = toSecret(reply.json).data?.['metadata']
  if (!isObject(metadata)) throw new CommandFailure(`No value found at ${path}`)
  return metadata
}
