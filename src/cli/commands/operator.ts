/** `operator unseal`, `seal`, `key-status`, `rotate` and `members`. */
import type { ClientReply } from '#client/client.ts'
import { type Call, command } from '#cli/command.ts'
import { attempt, EXIT_OK, UsageError } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { askSecret } from '#cli/prompt.ts'
import { printSealStatus } from '#cli/seal-status.ts'
import { toSecret } from '#cli/secret.ts'
import { columns, plain } from '#cli/table.ts'

export const unseal = command({
  usage: '[options] [KEY]',
  details:
    'Gives the server one of its unseal keys; as many are needed as the threshold says, each given once. Without KEY it is asked for and not shown while typed, or read from standard input. A key on the command line can be seen by others on this machine and stays in the history.',
  examples: [
    { about: 'Be asked for a key:', words: 'strongroom operator unseal' },
    { about: 'Start over:', words: 'strongroom operator unseal -reset' },
  ],
  flags: {
    reset: { type: 'boolean', default: false, about: 'Forget the keys given so far.' },
    migrate: { type: 'boolean', default: false, about: 'The key is meant for moving to another seal.' },
  },
  output: 'format',
  arguments: { min: 0, max: 1 },
  async run({ flags, arguments: [argument], session, output, interactive }) {
    if (flags.reset && argument !== undefined) throw new UsageError('-reset takes no key')
    const key = argument === undefined || argument === '-' ? '' : argument.trim()
    const body = flags.reset
      ? { reset: true }
      : { key: key || (await askSecret('Unseal Key', interactive)), migrate: flags.migrate }
    const reply = await attempt(
      flags.reset ? 'Error resetting unseal' : 'Error unsealing',
      async () => await session.request('PUT', 'sys/unseal', { body }),
    )
    await printSealStatus(output, session, isObject(reply.json) ? reply.json : {})
    return EXIT_OK
  },
})

export const seal = command({
  usage: '[options]',
  details:
    'The server forgets the keys it works with and refuses everything until it is unsealed again. Needs sudo on sys/seal.',
  flags: {},
  output: 'none',
  arguments: { min: 0, max: 0 },
  async run({ session, output }) {
    await attempt('Error sealing', async () => await session.request('PUT', 'sys/seal'))
    output.success('Success! The server is sealed.')
    return EXIT_OK
  },
})

export const keyStatus = command({
  usage: '[options]',
  details: 'Prints the term of the key that encrypts what is written now, when it was made, and how often it was used.',
  flags: {},
  output: 'format',
  arguments: { min: 0, max: 0 },
  run: async (call) =>
    await printKeyStatus(
      call,
      await attempt('Error reading key status', () => call.session.request('GET', 'sys/key-status')),
    ),
})

export const rotate = command({
  usage: '[options]',
  details:
    'Makes a new key for all that is written from now on; what was written before stays readable by the older keys. The keys of people stay the same (for those: rekey). It happens by itself, too, long before a key was used too often. Needs sudo on sys/rotate.',
  flags: {},
  output: 'format',
  arguments: { min: 0, max: 0 },
  async run(call) {
    const { session, output } = call
    await attempt('Error rotating key', () => session.request('PUT', 'sys/rotate'))
    output.successUnlessData('Success! Rotated key\n')
    return await printKeyStatus(
      call,
      await attempt('Error reading key status', () => session.ask('GET', 'sys/key-status')),
    )
  },
})

async function printKeyStatus({ output }: Call, reply: ClientReply): Promise<number> {
  if (output.format !== 'table') return await output.reply(reply)
  const data = toSecret(reply.json).data ?? {}
  output.line(
    columns([
      ['Key Term', plain(data['term'])],
      ['Install Time', plain(data['install_time'])],
      ['Encryption Count', plain(data['encryptions'])],
    ]),
  )
  return EXIT_OK
}

export const members = command({
  usage: '[options]',
  details: 'Lists the servers that share the store.',
  flags: {},
  output: 'format',
  arguments: { min: 0, max: 0 },
  async run({ session, output }) {
    const reply = await attempt('Error reading HA status', () => session.request('GET', 'sys/ha-status'))
    if (output.format === 'raw') return await output.reply(reply)
    const data = toSecret(reply.json).data ?? {}
    const nodes = Array.isArray(data['nodes']) ? data['nodes'].filter(isObject) : []
    return await output.list(data, () => [
      ['Host Name', 'API Address', 'Cluster Address', 'Active Node', 'Version', 'Last Echo'],
      ...nodes.map((node) => [
        plain(node['hostname']),
        plain(node['api_address']),
        plain(node['cluster_address']),
        plain(node['active_node']),
        plain(node['version']),
        plain(node['last_echo'] ?? ''),
      ]),
    ])
  },
})
