/** `read`: GET on any path. */
import { command } from '#cli/command.ts'
import { parseData } from '#cli/data-arguments.ts'
import { attempt, CommandFailure } from '#cli/failure.ts'
import { cleanPath } from '#cli/paths.ts'
import { plain } from '#cli/table.ts'

export const read = command({
  usage: '[options] PATH [KEY=VALUE...]',
  details:
    'Reads what is at the path: a secret, a configuration, a status. Reading some paths makes something new, such as credentials of a database. Pairs are sent as the query of the request.',
  examples: [
    { about: 'Read the credentials of a role:', words: 'strongroom read database/creds/readonly' },
    { about: 'Read the settings of a mount as JSON:', words: 'strongroom read -format=json sys/mounts/secret/tune' },
  ],
  flags: {},
  output: 'field',
  arguments: { min: 1, max: Infinity },
  async run({ arguments: words, session, output }) {
    const path = cleanPath(words[0]!)
    const data = await parseData(words.slice(1))
    const query = Object.fromEntries(
      Object.entries(data).map(([name, value]) => [name, Array.isArray(value) ? value.map(plain) : plain(value)]),
    )
    const reply = await attempt(`Error reading ${path}`, async () => await session.find('GET', path, { query }))
    if (!reply) throw new CommandFailure(`No value found at ${path}${session.absence}`)
    return await output.reply(reply)
  },
})
