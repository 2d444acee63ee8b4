/** `kv list` */
import { command } from '#cli/command.ts'
import { attempt, UsageError } from '#cli/failure.ts'
import { printKeys } from '#cli/keys.ts'
import { locate, mountFlag } from '#cli/kv.ts'

export const list = command({
  usage: '[options] PATH',
  details: 'Lists the names of secrets below a path. Names that end in a slash have further ones below them.',
  examples: [{ about: 'List what is in a mount:', words: 'strongroom kv list secret/' }],
  flags: mountFlag,
  output: 'field',
  arguments: { min: 0, max: 1 },
  async run({ flags, arguments: [word], session, output }) {
    if (word === undefined && flags.mount === undefined)
      throw new UsageError('Not enough arguments (expected 1, got 0)')
    const path = (await locate(session, flags.mount, word ?? '')).path('metadata')
    const reply = await attempt(`Error listing ${path}`, async () => await session.find('LIST', path))
    return await printKeys(output, reply, `${path}${session.absence}`)
  },
})
