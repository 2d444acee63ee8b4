/** `path-help`: what the server tells about one of its paths. */
import { command } from '#cli/command.ts'
import { attempt, CommandFailure, EXIT_OK } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { cleanPath } from '#cli/paths.ts'

export const pathHelp = command({
  usage: '[options] PATH',
  details: 'Prints what the path is for and which fields it takes. The path of a mount lists all paths below it.',
  examples: [
    { about: 'Which paths a mount has:', words: 'strongroom path-help secret' },
    { about: 'What one of them takes:', words: 'strongroom path-help auth/approle/role/app' },
  ],
  flags: {},
  output: 'format',
  arguments: { min: 1, max: 1 },
  async run({ arguments: words, session, output }) {
    const path = cleanPath(words[0]!)
    const reply = await attempt(
      'Error retrieving help',
      async () => await session.find('GET', path, { query: { help: '1' } }),
    )
    const text = isObject(reply?.json)
      ? (reply.json['help'] ?? (isObject(reply.json['data']) ? reply.json['data']['help'] : undefined))
      : undefined
    if (!reply || typeof text !== 'string') throw new CommandFailure(`No help for path: ${path}${session.absence}`)
    if (output.format !== 'table') return await output.data(reply.json)
    output.line(text.trimEnd())
    return EXIT_OK
  },
})
