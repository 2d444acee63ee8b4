/** `list`: the names below any path. */
import { command } from '#cli/command.ts'
import { attempt } from '#cli/failure.ts'
import { printKeys } from '#cli/keys.ts'
import { cleanPath } from '#cli/paths.ts'

export const list = command({
  usage: '[options] PATH',
  details: 'Lists the names below the path. Names that end in a slash have further names below them.',
  examples: [{ about: 'List the users of an auth method:', words: 'strongroom list auth/userpass/users' }],
  flags: {
    after: { type: 'string', about: 'List only names that come after this one.' },
    limit: { type: 'integer', about: 'List at most this many names.' },
    detailed: {
      type: 'boolean',
      default: false,
      about: 'Print also what the server tells about each name, if anything.',
    },
  },
  output: 'field',
  arguments: { min: 1, max: 1 },
  async run({ flags, arguments: words, session, output }) {
    const path = cleanPath(words[0]!)
    const query = { after: flags.after, limit: flags.limit === undefined ? undefined : String(flags.limit) }
    const reply = await attempt(`Error listing ${path}`, async () => await session.find('LIST', path, { query }))
    return await printKeys(output, reply, `${path}${session.absence}`, flags.detailed)
  },
})
