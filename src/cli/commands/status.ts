/** `status`: sys/seal-status and sys/leader. */
import { command } from '#cli/command.ts'
import { CommandFailure, EXIT_LOCAL, EXIT_OK, EXIT_REMOTE } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { printSealStatus } from '#cli/seal-status.ts'

export const status = command({
  usage: '[options]',
  details:
    'Prints how the server is doing, sealed or not. The exit code tells: 0 it is unsealed, 1 something went wrong, 2 it is sealed.',
  flags: {},
  output: 'format',
  arguments: { min: 0, max: 0 },
  async run({ session, output }) {
    try {
      const reply = await session.request('GET', 'sys/seal-status')
      const seal = isObject(reply.json) ? reply.json : {}
      await printSealStatus(output, session, seal)
      return seal['sealed'] === true ? EXIT_REMOTE : EXIT_OK
    } catch (error) {
      // 2 means sealed here, so every other trouble is 1.
      if (error instanceof Error && ['ClientError', 'ConnectionError'].includes(error.name)) {
        throw new CommandFailure(`Error checking seal status: ${error.message}`, EXIT_LOCAL, { cause: error })
      }
      throw error
    }
  },
})
