/** `operator generate-root`: a root token by the shares of many, told encoded. */
import type { ClientReply } from '#client/client.ts'
import { type Call, command } from '#cli/command.ts'
import { attempt, CommandFailure, EXIT_LOCAL, EXIT_OK, UsageError } from '#cli/failure.ts'
import { readPgpKeys } from '#cli/pgp-keys.ts'
import { readInput } from '#cli/prompt.ts'
import { contentOf, givenShare } from '#cli/share.ts'
import { plain, table } from '#cli/table.ts'

const PLACE = 'sys/generate-root'
const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

const flags = {
  init: { type: 'boolean', default: false, about: 'Begin. Only one can be under way.' },
  cancel: { type: 'boolean', default: false, about: 'Give up what is under way.' },
  status: { type: 'boolean', default: false, about: 'Only tell what is under way.' },
  nonce: { type: 'string', about: 'The nonce that -init printed; needed where the key is not asked for.' },
  'generate-otp': { type: 'boolean', default: false, about: 'Print a one-time pad for -init.' },
  otp: { type: 'string', about: 'The one-time pad, for -init or -decode.' },
  decode: { type: 'string', about: 'Take the pad off this encoded token ("-": from standard input); needs -otp.' },
  'pgp-key': { type: 'string', about: 'File with a public PGP key to encrypt the token for, with -init.' },
  'dr-token': { type: 'boolean', default: false, about: 'Refused: there is no replication here that would need one.' },
  'recovery-token': { type: 'boolean', default: false, about: 'Refused: there is no recovery mode here.' },
} as const

type RootCall = Call<typeof flags>

export const generateRoot = command({
  usage: '[options] [KEY]',
  details:
    'Makes a root token with the consent of those who hold enough of the keys: somebody begins with -init, then each gives his key by the same command without -init. The last one is shown the token, encoded so that only who began can read it: by a one-time pad, or by a PGP key.\n\nA key on the command line can be seen by others on this machine and stays in the history: without KEY it is asked for, or "-" reads it from standard input.',
  examples: [
    { about: 'Begin; a one-time pad is made and shown:', words: 'strongroom operator generate-root -init' },
    { about: 'Give a key:', words: 'strongroom operator generate-root' },
    {
      about: 'Read the token in the end:',
      words: 'strongroom operator generate-root -decode=ENCODED_TOKEN -otp=OTP',
    },
  ],
  flags,
  output: 'format',
  arguments: { min: 0, max: 1 },
  run,
})

async function run(call: RootCall): Promise<number> {
  const { flags: given, output } = call
  for (const [name, why] of [
    ['dr-token', 'there is no replication on this server, so no token for it'],
    ['recovery-token', 'this server has no recovery mode, so no token for it'],
  ] as const) {
    if (given[name]) throw new CommandFailure(`-${name} cannot be used: ${why}`, EXIT_LOCAL)
  }
  const modes = (['init', 'cancel', 'status', 'generate-otp', 'decode'] as const).filter((name) =>
    name === 'decode' ? given.decode !== undefined : given[name],
  )
  if (modes.length > 1) throw new UsageError(`-${modes[0]} and -${modes[1]} exclude each other`)
  const [mode] = modes
  if (mode === undefined) return await provide(call)
  if (call.arguments.length > 0) throw new UsageError(`-${mode} takes no key`)
  switch (mode) {
    case 'init':
      return await begin(call)
    case 'cancel':
      await attempt('Error canceling root token generation', () => call.session.request('DELETE', `${PLACE}/attempt`))
      output.success('Success! Canceled the generation of a root token (if it was started)')
      return EXIT_OK
    case 'status':
      return await printStatus(call, await readStatus(call))
    case 'generate-otp':
      return await makeOtp(call)
    case 'decode':
      return await decode(call)
  }
}

async function begin(call: RootCall): Promise<number> {
  const { flags: given, session, output } = call
  if (given.otp && given['pgp-key']) throw new UsageError('-otp and -pgp-key exclude each other')
  const body = {
    ...(given.otp ? { otp: given.otp } : {}),
    ...(given['pgp-key'] ? { pgp_key: (await readPgpKeys(given['pgp-key']))[0] } : {}),
  }
  const reply = await attempt('Error initializing root generation', () =>
    session.request('PUT', `${PLACE}/attempt`, { body }),
  )
  if (output.format === 'table' && contentOf(reply)['otp']) {
    output.warn('The one-time pad below is shown this once, and the token cannot be read without it: keep it.\n')
  }
  return await printStatus(call, reply)
}

async function provide(call: RootCall): Promise<number> {
  const { flags: given, session, interactive } = call
  const body = await givenShare(call.arguments[0], given.nonce, {
    label: 'Unseal Key',
    interactive,
    underWay: async () => {
      const { started, nonce } = contentOf(await readStatus(call))
      if (started === true && typeof nonce === 'string') return nonce
      throw new CommandFailure('No root generation is in progress. Begin one with -init.', EXIT_LOCAL)
    },
  })
  const reply = await attempt('Error posting unseal key', () => session.request('PUT', `${PLACE}/update`, { body }))
  return await printStatus(call, reply)
}

async function readStatus({ session, flags: given }: RootCall): Promise<ClientReply> {
  const path = `${PLACE}/attempt`
  return await attempt('Error reading root generation status', () =>
    given.status || given['generate-otp'] ? session.request('GET', path) : session.ask('GET', path),
  )
}

async function printStatus({ output }: RootCall, reply: ClientReply): Promise<number> {
  const status = contentOf(reply)
  if (output.format === 'raw') return await output.reply(reply)
  if (output.format !== 'table') return await output.data(status)
  const rows: [string, string][] = [
    ['Nonce', plain(status['nonce'])],
    ['Started', plain(status['started'])],
    ['Progress', `${plain(status['progress'])}/${plain(status['required'])}`],
    ['Complete', plain(status['complete'])],
  ]
  for (const [name, field] of [
    ['Encoded Token', 'encoded_token'],
    ['PGP Fingerprint', 'pgp_fingerprint'],
    ['OTP', 'otp'],
    ['OTP Length', 'otp_length'],
  ] as const) {
    if (status[field]) rows.push([name, plain(status[field])])
  }
  output.line(table([['Key', 'Value'], ...rows]))
  return EXIT_OK
}

/** As long as the server's tokens are. */
async function makeOtp(call: RootCall): Promise<number> {
  const length = contentOf(await readStatus(call))['otp_length']
  if (typeof length !== 'number' || !(length > 0 && length <= 1024)) {
    throw new CommandFailure('The server does not say how long a one-time pad has to be.')
  }
  const { randomInt } = await import('node:crypto')
  const otp = Array.from({ length }, () => LETTERS[randomInt(LETTERS.length)]).join('')
  if (call.output.format !== 'table') return await call.output.data({ otp, otp_length: length })
  call.output.line(otp)
  return EXIT_OK
}

/** Done here: neither the token nor its pad has to go over the network for it. */
async function decode({ flags: given, output }: RootCall): Promise<number> {
  if (!given.otp) throw new CommandFailure('Missing otp: use -otp to supply it', EXIT_LOCAL)
  const encoded = given.decode === '-' ? (await readInput()).trim() : given.decode!.trim()
  if (encoded === '') throw new CommandFailure('Missing encoded value: nothing was given to decode', EXIT_LOCAL)
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) {
    throw new CommandFailure('Error decoding token: it is not base64', EXIT_LOCAL)
  }
  const [bytes, pad] = [Buffer.from(encoded, 'base64'), Buffer.from(given.otp)]
  if (bytes.length !== pad.length) {
    throw new CommandFailure(
      `Error decoding token: it has ${bytes.length} bytes and the one-time pad ${pad.length}: this is not its pad`,
      EXIT_LOCAL,
    )
  }
  const token = Buffer.from(bytes.map((byte, at) => byte ^ pad[at]!)).toString()
  if (output.format !== 'table') return await output.data({ token })
  output.line(token)
  return EXIT_OK
}
