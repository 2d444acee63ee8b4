/** `monitor`: sys/monitor, until one side ends it. */
import { command } from '#cli/command.ts'
import { attempt, EXIT_OK } from '#cli/failure.ts'

export const monitor = command({
  usage: '[options]',
  details: 'Prints the log of the server as it is written, until it is interrupted or the server is sealed.',
  examples: [{ about: 'All that there is:', words: 'strongroom monitor -log-level=trace' }],
  flags: {
    'log-format': {
      type: 'string',
      about: 'standard or json. The default is that of the server.',
      choices: ['standard', 'json'],
    },
    'log-level': {
      type: 'string',
      default: 'info',
      choices: ['trace', 'debug', 'info', 'warn', 'error'],
      about: 'From which level on.',
    },
  },
  output: 'none',
  arguments: { min: 0, max: 0 },
  async run({ flags, session, output }) {
    const query = { log_level: flags['log-level'], log_format: flags['log-format'] }
    await attempt(
      'Error following the log',
      async () => await session.follow('sys/monitor', { query }, (text) => output.raw(text)),
    )
    return EXIT_OK
  },
})
