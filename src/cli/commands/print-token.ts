/** `print token`: from the environment, else from the last login. */
import { command } from '#cli/command.ts'
import { CommandFailure, EXIT_LOCAL, EXIT_OK } from '#cli/failure.ts'

export const token = command({
  usage: '',
  details:
    'Prints the token of the environment (STRONGROOM_TOKEN, BAO_TOKEN, VAULT_TOKEN), else that of the last login (~/.vault-token).',
  examples: [
    {
      about: 'Use it with another program:',
      words: 'curl -H "X-Vault-Token: $(strongroom print token)" $STRONGROOM_ADDR/v1/secret/data/app',
    },
  ],
  flags: {},
  output: 'none',
  offline: true,
  arguments: { min: 0, max: 0 },
  async run({ session, output }) {
    const found = await session.token()
    if (found === undefined)
      throw new CommandFailure('No token is set. Run "strongroom login", or set STRONGROOM_TOKEN.', EXIT_LOCAL)
    output.line(found)
    return EXIT_OK
  },
})
