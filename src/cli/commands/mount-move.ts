/** `secrets move` and `auth move`: sys/remount, and its status until it is done. */
import { type Call, command } from '#cli/command.ts'
import { attempt, CommandFailure, EXIT_OK } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { mountPath } from '#cli/paths.ts'
import { toSecret } from '#cli/secret.ts'

/** Half an hour: more leases than can be revoked in that time are no matter for somebody who waits. */
const MAX_POLLS = 1800
const POLL_INTERVAL_MS = 1000

export const moveSecrets = command({
  usage: '[options] SOURCE DESTINATION',
  details:
    'Moves a secrets engine to another path, with all it holds. Its leases are revoked. Returns when that is done.',
  examples: [{ about: 'Move a mount:', words: 'strongroom secrets move secret/ kv/' }],
  flags: {},
  output: 'none',
  arguments: { min: 2, max: 2 },
  run: async (call) => await move(call, 'secrets engine', ''),
})

export const moveAuth = command({
  usage: '[options] SOURCE DESTINATION',
  details:
    'Moves an auth method to another path, with all it holds. Tokens it made are revoked. Returns when that is done.',
  examples: [{ about: 'Move a mount:', words: 'strongroom auth move approle/ machines/' }],
  flags: {},
  output: 'none',
  arguments: { min: 2, max: 2 },
  run: async (call) => await move(call, 'auth method', 'auth/'),
})

async function move(
  { arguments: words, session, output }: Pick<Call, 'arguments' | 'session' | 'output'>,
  what: string,
  prefix: string,
): Promise<number> {
  const [from, to] = words.map(mountPath) as [string, string]
  const doing = `Error moving ${what} ${from} to ${to}`
  const reply = await attempt(
    doing,
    async () => await session.request('POST', 'sys/remount', { body: { from: prefix + from, to: prefix + to } }),
  )
  const id = toSecret(reply.json).data?.['migration_id']
  if (typeof id !== 'string') throw new CommandFailure(`${doing}: the server gave no migration_id`)
  output.line(`Started moving ${what} ${from} to ${to}, with migration ID ${id}`)
  for (let poll = 0; poll < MAX_POLLS; poll += 1) {
    const state = toSecret(
      (await attempt(doing, async () => await session.ask('GET', `sys/remount/status/${id}`))).json,
    ).data
    const info = state?.['migration_info']
    const status = isObject(info) ? info['status'] : undefined
    if (status === 'success') {
      output.success(`Success! Finished moving ${what} ${from} to ${to}, with migration ID ${id}`)
      return EXIT_OK
    }
    if (status === 'failure')
      throw new CommandFailure(`Failure! Error encountered moving ${what} ${from} to ${to}, with migration ID ${id}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS))
  }
  throw new CommandFailure(`The move with migration ID ${id} goes on; read sys/remount/status/${id} for how it stands`)
}
