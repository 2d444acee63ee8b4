/** `unwrap`: sys/wrapping/unwrap. */
import { command } from '#cli/command.ts'
import { attempt, CommandFailure, EXIT_REMOTE } from '#cli/failure.ts'

export const unwrap = command({
  usage: '[options] [TOKEN]',
  details:
    'Prints the secret that a wrapping token stands for; the token is then used up. Without TOKEN, the token in use is taken for a wrapping token.',
  examples: [{ about: 'Unwrap a secret:', words: 'strongroom unwrap hvs.EXAMPLE' }],
  flags: {},
  output: 'field',
  arguments: { min: 0, max: 1 },
  async run({ arguments: [wrapping], session, output }) {
    const current = await session.token()
    const given = wrapping?.trim()
    if (!given && !current) throw new CommandFailure('No token to unwrap: give one, or log in with it', EXIT_REMOTE)
    // Somebody without a token of their own unwraps with the wrapping token itself.
    if (given && !current) session.useToken(given)
    const body = given && current && given !== current ? { token: given } : {}
    const reply = await attempt(
      'Error unwrapping',
      async () => await session.request('PUT', 'sys/wrapping/unwrap', { body }),
    )
    if (reply.json === undefined) throw new CommandFailure('Could not find wrapped response')
    return await output.reply(reply)
  },
})
