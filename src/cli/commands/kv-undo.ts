/** `kv undo` */
import { command } from '#cli/command.ts'
import { attempt } from '#cli/failure.ts'
import { locateVersioned, mountFlag, printWritten } from '#cli/kv.ts'

export const undo = command({
  usage: '[options] KEY',
  details:
    'Takes back the last change of a secret, once: a write, by writing the version before it again; a deletion or restoration of versions; a change of the metadata. What was destroyed cannot be had back.',
  examples: [
    { about: 'Take back what was just written:', words: 'strongroom kv undo secret/app' },
    { about: 'Only if nobody has written since version 7:', words: 'strongroom kv undo -cas=7 secret/app' },
  ],
  flags: {
    ...mountFlag,
    cas: { type: 'integer', about: 'Undo only if this version is the current one.' },
  },
  output: 'field',
  arguments: { min: 1, max: 1 },
  async run({ flags, arguments: words, session, output }) {
    const path = (await locateVersioned(session, flags.mount, words[0]!, 'Undo')).path('undo')
    const body = flags.cas === undefined ? {} : { options: { cas: flags.cas } }
    const reply = await attempt(
      `Error undoing the last change of ${path}`,
      async () => await session.request('PUT', path, { body }),
    )
    return await printWritten(output, reply, path)
  },
})
