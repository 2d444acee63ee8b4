/** `write` and `patch`: PUT and PATCH on any path. */
import { type Call, command } from '#cli/command.ts'
import { parseData } from '#cli/data-arguments.ts'
import { attempt, EXIT_OK, UsageError } from '#cli/failure.ts'
import { cleanPath } from '#cli/paths.ts'

const flags = {
  force: {
    type: 'boolean',
    aliases: ['f'],
    default: false,
    about: 'Go on without any data, for paths that need none.',
  },
} as const

const dataHelp =
  'A value is text; key=@FILE takes it from a file, key=- from standard input. @FILE or - alone stand for a JSON object with all the data.'

export const write = command({
  usage: '[options] PATH [DATA K=V...]',
  details: `Writes data to the path. What that does depends on what is mounted there.\n\n${dataHelp}`,
  examples: [
    { about: 'Make a user:', words: 'strongroom write auth/userpass/users/bob password=@password.txt policies=app' },
    { about: 'Make a key, which needs no data:', words: 'strongroom write -force transit/keys/app' },
    { about: 'Write more than text:', words: `echo '{"ttl":"1h","tags":["a","b"]}' | strongroom write some/path -` },
  ],
  flags,
  output: 'field',
  arguments: { min: 1, max: Infinity },
  run: async (call) => await send(call, 'PUT'),
})

export const patch = command({
  usage: '[options] PATH [DATA K=V...]',
  details: `Changes only what is given of the data at the path (JSON merge patch, RFC 7396).\n\n${dataHelp}`,
  examples: [
    { about: 'Change one field of a role:', words: 'strongroom patch pki/roles/example allow_localhost=false' },
  ],
  flags,
  output: 'field',
  arguments: { min: 1, max: Infinity },
  run: async (call) => await send(call, 'PATCH'),
})

async function send(
  { flags: { force }, arguments: words, session, output }: Call<typeof flags>,
  method: 'PUT' | 'PATCH',
): Promise<number> {
  if (words.length === 1 && !force) throw new UsageError('Must supply data or use -force')
  const path = cleanPath(words[0]!)
  const body = await parseData(words.slice(1))
  const reply = await attempt(
    `Error writing data to ${path}`,
    async () => await session.request(method, path, { body }),
  )
  if (reply.json !== undefined) return await output.reply(reply)
  output.successUnlessData(`Success! Data written to: ${path}`)
  return EXIT_OK
}
