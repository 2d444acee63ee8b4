/** `kv metadata get`, `put`, `patch` and `delete`. */
import { type Call, command } from '#cli/command.ts'
import { attempt, CommandFailure, EXIT_OK } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { locateVersioned, mountFlag, printPath, printSection } from '#cli/kv.ts'
import { toSecret } from '#cli/secret.ts'

const settings = {
  ...mountFlag,
  'cas-required': { type: 'boolean', about: 'Whether each write must name the version it follows (-cas).' },
  'custom-metadata': {
    type: 'pairs',
    about: 'What else to note about the secret, as NAME=VALUE. May be given several times. It is no secret.',
  },
  'delete-version-after': {
    type: 'duration',
    about: 'How long a new version lives before it is deleted; 0s: for ever.',
  },
  'expires-at': { type: 'string', about: 'When it should have been replaced (RFC 3339). Empty: never.' },
  'expires-in': { type: 'duration', about: 'The same, from now on. 0s: never.' },
  owner: { type: 'string', about: 'Who is responsible for it. Empty: nobody.' },
  'max-versions': {
    type: 'integer',
    about: 'How many versions to keep; older ones are removed. 0: as the mount says.',
  },
} as const

const patchFlags = {
  ...settings,
  'remove-custom-metadata': { type: 'list', about: 'Name of a note to remove. May be given several times.' },
} as const

export const put = command({
  usage: '[options] KEY',
  details:
    'Sets the settings of a secret, and makes an empty one where there is none. Settings that are not given are reset.',
  examples: [
    {
      about: 'Keep five versions, and note who is responsible and when it should be replaced:',
      words: 'strongroom kv metadata put -max-versions=5 -owner=team-web -expires-in=2160h secret/app',
    },
  ],
  flags: settings,
  output: 'format',
  arguments: { min: 1, max: 1 },
  run: async (call) => await change(call, 'PUT', call.flags['custom-metadata']),
})

export const patch = command({
  usage: '[options] KEY',
  details: 'Changes only those settings of a secret that are given.',
  examples: [
    {
      about: 'Change one note and remove another:',
      words: 'strongroom kv metadata patch -custom-metadata=owner=db -remove-custom-metadata=old secret/app',
    },
  ],
  flags: patchFlags,
  output: 'format',
  arguments: { min: 1, max: 1 },
  async run(call) {
    const removed = call.flags['remove-custom-metadata'].map((name): [string, null] => [name, null])
    return await change(call, 'PATCH', { ...call.flags['custom-metadata'], ...Object.fromEntries(removed) })
  },
})

async function change(
  {
    flags,
    given,
    arguments: words,
    session,
    output,
  }: Pick<Call<typeof settings>, 'flags' | 'given' | 'arguments' | 'session' | 'output'>,
  method: 'PUT' | 'PATCH',
  custom: Record<string, string | null>,
): Promise<number> {
  const path = (await locateVersioned(session, flags.mount, words[0]!, 'Metadata')).path('metadata')
  const body = {
    ...(given.has('cas-required') ? { cas_required: flags['cas-required'] } : {}),
    ...(Object.keys(custom).length > 0 ? { custom_metadata: custom } : {}),
    ...(given.has('delete-version-after') ? { delete_version_after: flags['delete-version-after'] } : {}),
    ...(given.has('owner') ? { owner: flags.owner } : {}),
    ...(given.has('expires-at') ? { expires_at: flags['expires-at'] } : {}),
    ...(given.has('expires-in') ? { expires_in: flags['expires-in'] } : {}),
    ...(given.has('max-versions') ? { max_versions: flags['max-versions'] } : {}),
  }
  const reply = await attempt(
    `Error writing data to ${path}`,
    async () => await session.request(method, path, { body }),
  )
  if (reply.json !== undefined) return await output.reply(reply)
  output.successUnlessData(`Success! Data written to: ${path}`)
  return EXIT_OK
}

export const remove = command({
  usage: '[options] KEY',
  details: 'Deletes a secret with all its versions and its metadata. There is no way back.',
  flags: mountFlag,
  output: 'format',
  arguments: { min: 1, max: 1 },
  async run({ flags, arguments: words, session, output }) {
    const path = (await locateVersioned(session, flags.mount, words[0]!, 'Metadata')).path('metadata')
    const reply = await attempt(`Error deleting ${path}`, async () => await session.request('DELETE', path))
    if (reply.json !== undefined) return await output.reply(reply)
    output.successUnlessData(`Success! Data deleted (if it existed) at: ${path}`)
    return EXIT_OK
  },
})

export const get = command({
  usage: '[options] KEY',
  details:
    'Prints the settings of a secret, who read it last and how often it was read, and what is known about each of its versions.',
  flags: mountFlag,
  output: 'field',
  arguments: { min: 1, max: 1 },
  async run({ flags, arguments: words, session, output }) {
    const path = (await locateVersioned(session, flags.mount, words[0]!, 'Metadata')).path('metadata')
    const reply = await attempt(
      `Error reading ${path}`,
      async () => await session.find('GET', path, { query: { reads: 'true' } }),
    )
    const secret = reply && toSecret(reply.json)
    if (!secret || (!secret.data && !secret.wrap_info))
      throw new CommandFailure(`No value found at ${path}${session.absence}`)
    if (output.format !== 'table' || output.field !== undefined || !secret.data) return await output.reply(reply)
    const { versions, last_read_by: reader, last_read_time: readAt, ...rest } = secret.data
    // Of a secret that nobody has read there is nothing more to say.
    const own = isObject(reader) ? { ...rest, last_read_by: reader['display_name'], last_read_time: readAt } : rest
    output.warnings(secret.warnings)
    printPath(output, 'Metadata Path', path)
    await printSection(output, 'Metadata', own)
    const numbers = isObject(versions) ? Object.keys(versions).sort((a, b) => Number(a) - Number(b)) : []
    for (const number of numbers) {
      const version = isObject(versions) ? versions[number] : undefined
      output.line('')
      await printSection(output, `Version ${number}`, isObject(version) ? version : {})
    }
    return EXIT_OK
  },
})
