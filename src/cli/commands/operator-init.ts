/** `operator init`: sys/init. */
import type { ClientReply } from '#client/client.ts'
import { type Call, command } from '#cli/command.ts'
import { attempt, EXIT_OK, EXIT_REMOTE } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { readPgpKeys } from '#cli/pgp-keys.ts'

const flags = {
  'key-shares': { type: 'integer', aliases: ['n'], default: 5, about: 'How many unseal keys to make.' },
  'key-threshold': { type: 'integer', aliases: ['t'], default: 3, about: 'How many of them unseal the server.' },
  'pgp-keys': {
    type: 'string',
    about:
      'Files with public PGP keys, separated by commas: each unseal key is encrypted for one of them, in this order.',
  },
  'recovery-pgp-keys': { type: 'string', about: 'The same for recovery keys.' },
  'recovery-shares': {
    type: 'integer',
    default: 5,
    about: 'How many recovery keys to make, where the server unseals itself.',
  },
  'recovery-threshold': { type: 'integer', default: 3, about: 'How many of them are needed.' },
  'root-token-pgp-key': { type: 'string', about: 'File with a public PGP key to encrypt the first token for.' },
  status: {
    type: 'boolean',
    default: false,
    about: 'Only tell whether the server is initialized: exit code 0 it is, 2 it is not.',
  },
  'stored-shares': { type: 'integer', about: 'Accepted for scripts that set it; the seal decides.' },
} as const

export const init = command({
  usage: '[options]',
  details:
    'Makes the keys of a new server and its first token, and prints them. This is the only time they are ever shown: hand the keys to different people and keep the token only as long as it is needed.',
  examples: [
    { about: 'Make five keys of which any three unseal the server:', words: 'strongroom operator init' },
    {
      about: 'Encrypt the keys for those who shall hold them:',
      words: 'strongroom operator init -key-shares=3 -key-threshold=2 -pgp-keys="ann.asc,bob.asc,eve.asc"',
    },
  ],
  flags,
  output: 'format',
  arguments: { min: 0, max: 0 },
  run: async (call) => (call.flags.status ? await printInitialized(call) : await initialize(call)),
})

async function printInitialized({ session, output }: Call<typeof flags>): Promise<number> {
  const reply = await attempt('Error checking init status', async () => await session.request('GET', 'sys/init'))
  const initialized = isObject(reply.json) && reply.json['initialized'] === true
  if (output.format === 'table')
    output.line(initialized ? 'The server is initialized' : 'The server is not initialized')
  else await output.data(reply.json)
  return initialized ? EXIT_OK : EXIT_REMOTE
}

async function initialize({ flags: given, given: names, session, output }: Call<typeof flags>): Promise<number> {
  const state = await attempt('Error checking seal status', async () => await session.ask('GET', 'sys/seal-status'))
  const unsealsItself = isObject(state.json) && state.json['recovery_seal'] === true
  // A server that unseals itself has recovery keys and no unseal keys, so numbers nobody asked for are left out.
  const keys = !unsealsItself || names.has('key-shares') || names.has('key-threshold')
  const recovery = unsealsItself || names.has('recovery-shares') || names.has('recovery-threshold')
  const body = {
    secret_shares: keys ? given['key-shares'] : 0,
    secret_threshold: keys ? given['key-threshold'] : 0,
    ...(given['stored-shares'] === undefined ? {} : { stored_shares: given['stored-shares'] }),
    ...(given['pgp-keys'] ? { pgp_keys: await readPgpKeys(given['pgp-keys']) } : {}),
    ...(recovery ? { recovery_shares: given['recovery-shares'], recovery_threshold: given['recovery-threshold'] } : {}),
    ...(given['recovery-pgp-keys'] ? { recovery_pgp_keys: await readPgpKeys(given['recovery-pgp-keys']) } : {}),
    ...(given['root-token-pgp-key'] ? { root_token_pgp_key: (await readPgpKeys(given['root-token-pgp-key']))[0] } : {}),
  }
  const reply = await attempt('Error initializing', async () => await session.request('PUT', 'sys/init', { body }))
  return await printKeys(reply, body, { output })
}

interface Counts {
  secret_shares: number
  secret_threshold: number
  recovery_shares?: number
  recovery_threshold?: number
}

async function printKeys(reply: ClientReply, counts: Counts, { output }: Pick<Call, 'output'>): Promise<number> {
  const made = isObject(reply.json) ? reply.json : {}
  const texts = (name: string) =>
    Array.isArray(made[name]) ? made[name].filter((each) => typeof each === 'string') : []
  const [keys, recovery] = [texts('keys_base64'), texts('recovery_keys_base64')]
  if (output.format !== 'table') {
    return await output.data({
      unseal_keys_b64: keys,
      unseal_keys_hex: texts('keys'),
      unseal_shares: counts.secret_shares,
      unseal_threshold: counts.secret_threshold,
      recovery_keys_b64: recovery,
      recovery_keys_hex: texts('recovery_keys'),
      recovery_keys_shares: counts.recovery_shares ?? 0,
      recovery_keys_threshold: counts.recovery_threshold ?? 0,
      root_token: made['root_token'],
    })
  }
  keys.forEach((key, at) => output.line(`Unseal Key ${at + 1}: ${key}`))
  recovery.forEach((key, at) => output.line(`Recovery Key ${at + 1}: ${key}`))
  output.line(`\nInitial Root Token: ${typeof made['root_token'] === 'string' ? made['root_token'] : ''}\n`)
  output.line(
    keys.length > 0
      ? `The server is initialized with ${counts.secret_shares} key shares, of which ${counts.secret_threshold} unseal it. Hand them to different\npeople now: they are shown this once. Each time the server is restarted or sealed, ${counts.secret_threshold} of them are\nneeded; if fewer are left, what it holds can never be read again.`
      : `The server is initialized and unseals itself. Keep the recovery keys apart: ${counts.recovery_threshold ?? 0} of them are needed for\nwhat not even a root token may do alone.`,
  )
  return EXIT_OK
}
