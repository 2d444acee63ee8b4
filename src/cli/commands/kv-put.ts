/** `kv put` */
import { command } from '#cli/command.ts'
import { parseData } from '#cli/data-arguments.ts'
import { attempt, UsageError } from '#cli/failure.ts'
import { locate, mountFlag, printWritten } from '#cli/kv.ts'

export const put = command({
  usage: '[options] KEY [DATA K=V...]',
  details:
    'Writes a secret. In version 2 that makes a new version, which has the fields given now and no others; in version 1 it replaces what was there.\n\nA value is text; key=@FILE takes it from a file, key=- from standard input, which keeps it out of the history. @FILE or - alone stand for a JSON object with all the data.',
  examples: [
    { about: 'Write two fields:', words: 'strongroom kv put -mount=secret app user=web password=@password.txt' },
    { about: 'Only if nobody wrote since version 3:', words: 'strongroom kv put -cas=3 secret/app password=-' },
  ],
  flags: {
    ...mountFlag,
    cas: {
      type: 'integer',
      default: -1,
      about: 'Write only if this is the newest version; 0: only if there is no secret yet; -1: in any case.',
    },
  },
  output: 'field',
  arguments: { min: 1, max: Infinity },
  async run({ flags, arguments: words, session, output }) {
    if (words.length === 1) throw new UsageError('Must supply data')
    const data = await parseData(words.slice(1))
    const place = await locate(session, flags.mount, words[0]!)
    const path = place.path('data')
    const body = place.version === 2 ? { data, options: flags.cas >= 0 ? { cas: flags.cas } : {} } : data
    const reply = await attempt(
      `Error writing data to ${path}`,
      async () => await session.request('PUT', path, { body }),
    )
    return await printWritten(output, reply, path)
  },
})
