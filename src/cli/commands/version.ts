/** `version`: the program's own. */
import { command } from '#cli/command.ts'
import { EXIT_OK } from '#cli/failure.ts'
import { productVersion } from '#lib/version.ts'

export const version = command({
  usage: '',
  details: 'That of a server is told by "strongroom status".',
  flags: {},
  output: 'none',
  offline: true,
  arguments: { min: 0, max: 0 },
  run({ output }) {
    output.line(`Strongroom v${productVersion}`)
    return Promise.resolve(EXIT_OK)
  },
})
