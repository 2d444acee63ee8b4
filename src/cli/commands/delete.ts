/** `delete`: DELETE on any path. */
import { command } from '#cli/command.ts'
import { parseData } from '#cli/data-arguments.ts'
import { attempt, EXIT_OK } from '#cli/failure.ts'
import { cleanPath } from '#cli/paths.ts'
import { plain } from '#cli/table.ts'

export const remove = command({
  usage: '[options] PATH [KEY=VALUE...]',
  details:
    'Deletes what is at the path. It is no error if nothing was there. Pairs are sent as the query of the request.',
  examples: [{ about: 'Delete a role:', words: 'strongroom delete auth/approle/role/old' }],
  flags: {},
  output: 'field',
  arguments: { min: 1, max: Infinity },
  async run({ arguments: words, session, output }) {
    const path = cleanPath(words[0]!)
    const data = await parseData(words.slice(1))
    const query = Object.fromEntries(
      Object.entries(data).map(([name, value]) => [name, Array.isArray(value) ? value.map(plain) : plain(value)]),
    )
    const reply = await attempt(`Error deleting ${path}`, async () => await session.request('DELETE', path, { query }))
    if (reply.json !== undefined) return await output.reply(reply)
    output.successUnlessData(`Success! Data deleted (if it existed) at: ${path}`)
    return EXIT_OK
  },
})
