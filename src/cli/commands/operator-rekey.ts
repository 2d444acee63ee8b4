/** `operator rekey` and `operator rotate-keys`: new shares, by sys/rekey or, with a token, by sys/rotate. */
import type { ClientReply } from '#client/client.ts'
import { type Call, command } from '#cli/command.ts'
import { attempt, CommandFailure, EXIT_LOCAL, EXIT_OK, UsageError } from '#cli/failure.ts'
import { readPgpKeys } from '#cli/pgp-keys.ts'
import { contentOf, givenShare } from '#cli/share.ts'
import { plain, table } from '#cli/table.ts'

const flags = {
  init: { type: 'boolean', default: false, about: 'Begin. Only one can be under way for each target.' },
  cancel: { type: 'boolean', default: false, about: 'Give up what is under way; the present keys stay.' },
  status: { type: 'boolean', default: false, about: 'Only tell what is under way.' },
  nonce: { type: 'string', about: 'The nonce that -init printed; needed where the key is not asked for.' },
  verify: {
    type: 'boolean',
    default: false,
    about:
      'With -init: the new keys become valid only when enough of them were given back. Else: give one of them back, or with -status or -cancel, work on that part.',
  },
  target: {
    type: 'string',
    default: 'barrier',
    choices: ['barrier', 'recovery', 'hsm'],
    about: 'Which keys: those that unseal, or the recovery keys of a server that unseals itself.',
  },
  'key-shares': { type: 'integer', aliases: ['n'], default: 5, about: 'How many new keys to make.' },
  'key-threshold': { type: 'integer', aliases: ['t'], default: 3, about: 'How many of them are needed.' },
  'pgp-keys': {
    type: 'string',
    about: 'Files with public PGP keys, separated by commas: each new key is encrypted for one of them, in this order.',
  },
  backup: { type: 'boolean', default: false, about: 'With -pgp-keys: keep the encrypted keys in the store.' },
  'backup-retrieve': { type: 'boolean', default: false, about: 'Print the encrypted keys that were kept.' },
  'backup-delete': { type: 'boolean', default: false, about: 'Remove them from the store.' },
} as const

type RekeyCall = Call<typeof flags>

/** Paths of the two targets, for a rekey and for its backup. */
interface Places {
  barrier: string
  recovery: string
  barrierBackup: string
  recoveryBackup: string
  name: string
}

const details =
  'Replaces the keys that unseal the server by new ones, with the consent of those who hold enough of the present ones: somebody begins with -init, then each gives his key by the same command without -init. The last one is shown the new keys; the old ones then open nothing any more.\n\nUse -verify with -init: then the new keys must be given back before they replace the old ones, so that none can be lost on the way. A key on the command line can be seen by others on this machine and stays in the history: without KEY it is asked for, or "-" reads it from standard input.'

export const rekey = rekeyCommand('rekey', {
  barrier: 'sys/rekey',
  recovery: 'sys/rekey-recovery-key',
  barrierBackup: 'sys/rekey/backup',
  recoveryBackup: 'sys/rekey/recovery-key-backup',
  name: 'rekey',
})

export const rotateKeys = rekeyCommand('rotate-keys', {
  barrier: 'sys/rotate/root',
  recovery: 'sys/rotate/recovery',
  barrierBackup: 'sys/rotate/root/backup',
  recoveryBackup: 'sys/rotate/recovery/backup',
  name: 'rotation',
})

function rekeyCommand(word: string, places: Places) {
  return command({
    usage: '[options] [KEY]',
    details,
    examples: [
      { about: 'Begin, for five keys of which three are needed:', words: `strongroom operator ${word} -init -verify` },
      { about: 'Give a key:', words: `strongroom operator ${word}` },
      { about: 'Give a new key back:', words: `strongroom operator ${word} -verify` },
    ],
    flags,
    output: 'format',
    arguments: { min: 0, max: 1 },
    run: async (call) => await run(call, places),
  })
}

async function run(call: RekeyCall, places: Places): Promise<number> {
  const { flags: given } = call
  const modes = (['init', 'cancel', 'status', 'backup-retrieve', 'backup-delete'] as const).filter(
    (name) => given[name],
  )
  if (modes.length > 1) throw new UsageError(`-${modes[0]} and -${modes[1]} exclude each other`)
  const [mode] = modes
  if (mode !== 'init' && given.backup) throw new UsageError('-backup is for -init')
  if (mode === undefined) return await provide(call, places)
  if (call.arguments.length > 0) throw new UsageError(`-${mode} takes no key`)
  switch (mode) {
    case 'init':
      return await begin(call, places)
    case 'cancel':
      return await cancel(call, places)
    case 'status':
      return await printStatus(call, await readStatus(call, places))
    case 'backup-retrieve':
      return await call.output.reply(
        await attempt('Error retrieving rekey stored keys', () => call.session.request('GET', backupOf(call, places))),
      )
    case 'backup-delete':
      await attempt('Error deleting rekey stored keys', () => call.session.request('DELETE', backupOf(call, places)))
      call.output.success('Success! The stored keys are removed (if there were any)')
      return EXIT_OK
  }
}

async function begin(call: RekeyCall, places: Places): Promise<number> {
  const { flags: given, session, output } = call
  const body = {
    secret_shares: given['key-shares'],
    secret_threshold: given['key-threshold'],
    ...(given['pgp-keys'] ? { pgp_keys: await readPgpKeys(given['pgp-keys']) } : {}),
    backup: given.backup,
    require_verification: given.verify,
  }
  const reply = await attempt(`Error initializing ${places.name}`, () =>
    session.request('PUT', `${placeOf(call, places)}/init`, { body }),
  )
  // Where there were no recovery keys, they are made at once.
  if (contentOf(reply)['complete'] === true) return await printKeys(call, reply)
  if (output.format === 'table' && !given['pgp-keys'] && !given.verify) {
    output.warn(
      'WARNING! If the new keys are lost after they were shown, nothing brings them back. Better cancel, and begin\nagain with -verify, or with -pgp-keys and -backup.\n',
    )
  }
  return await printStatus(call, reply)
}

async function cancel(call: RekeyCall, places: Places): Promise<number> {
  const { flags: given, session, output } = call
  const place = placeOf(call, places)
  if (given.verify) {
    await attempt(`Error canceling ${places.name} verification`, () => session.request('DELETE', `${place}/verify`))
    output.success('Success! New keys given back so far are forgotten (if there were any)')
    return EXIT_OK
  }
  const query = given.nonce ? { query: { nonce: given.nonce } } : {}
  await attempt(`Error canceling ${places.name}`, () => session.request('DELETE', `${place}/init`, query))
  output.success(`Success! Canceled the ${places.name} (if it was started)`)
  return EXIT_OK
}

async function provide(call: RekeyCall, places: Places): Promise<number> {
  const { flags: given, session, output, interactive } = call
  const place = placeOf(call, places)
  const { key, nonce } = await givenShare(call.arguments[0], given.nonce, {
    label: given.verify ? 'New Key' : given.target === 'barrier' ? 'Unseal Key' : 'Recovery Key',
    interactive,
    underWay: async () => {
      const status = contentOf(await readStatus(call, places))
      const found = status['started'] === true ? status['nonce'] : undefined
      if (typeof found === 'string' && found !== '') return found
      throw new CommandFailure(`No ${places.name} is in progress. Begin one with -init.`, EXIT_LOCAL)
    },
  })
  const body = { key, nonce }
  const step = given.verify ? 'verify' : 'update'
  const reply = await attempt('Error posting key', () => session.request('PUT', `${place}/${step}`, { body }))
  const content = contentOf(reply)
  if (!given.verify) return content['complete'] === true ? await printKeys(call, reply) : await printStatus(call, reply)
  if (content['complete'] === undefined) return await printStatus(call, reply)
  if (content['complete'] !== true) {
    throw new CommandFailure(
      `These are not the new keys: the old ones stay valid. Try again with the nonce ${plain(content['nonce'])}.`,
    )
  }
  if (output.format !== 'table') return await output.data(content)
  output.success('Success! The new keys are valid from now on, and the old ones are not.')
  return EXIT_OK
}

async function readStatus(call: RekeyCall, places: Places): Promise<ClientReply> {
  const { session } = call
  const path = `${placeOf(call, places)}/${call.flags.verify ? 'verify' : 'init'}`
  return await attempt(`Error reading ${places.name} status`, () =>
    call.flags.status ? session.request('GET', path) : session.ask('GET', path),
  )
}

async function printStatus({ output }: RekeyCall, reply: ClientReply): Promise<number> {
  const status = contentOf(reply)
  if (output.format === 'raw') return await output.reply(reply)
  if (output.format !== 'table') return await output.data(status)
  const required = 'required' in status
  const rows: [string, string][] = [
    ['Nonce', plain(status['nonce'])],
    ['Started', plain(status['started'])],
  ]
  if (status['started'] === true) {
    rows.push(
      [
        required ? 'Rekey Progress' : 'Verification Progress',
        `${plain(status['progress'])}/${plain(required ? status['required'] : status['t'])}`,
      ],
      ['New Shares', plain(status['n'])],
      ['New Threshold', plain(status['t'])],
    )
    if (required) rows.push(['Verification Required', plain(status['verification_required'])])
    if (status['verification_nonce']) rows.push(['Verification Nonce', plain(status['verification_nonce'])])
    if (status['pgp_fingerprints']) {
      rows.push(['PGP Fingerprints', plain(status['pgp_fingerprints'])], ['Backup', plain(status['backup'])])
    }
  }
  output.line(table([['Key', 'Value'], ...rows]))
  return EXIT_OK
}

async function printKeys({ output, flags: given }: RekeyCall, reply: ClientReply): Promise<number> {
  const made = contentOf(reply)
  if (output.format === 'raw') return await output.reply(reply)
  if (output.format !== 'table') return await output.data(made)
  const list = (name: string): unknown[] => (Array.isArray(made[name]) ? made[name] : [])
  const prints = list('pgp_fingerprints')
  list('keys_base64').forEach((key, at) => {
    const holder = prints[at] === undefined ? '' : ` fingerprint: ${plain(prints[at])}; value:`
    output.line(`Key ${at + 1}:${holder} ${plain(key)}`)
  })
  output.line(`\nOperation nonce: ${plain(made['nonce'])}\n`)
  if (made['backup'] === true) {
    output.line(
      'The encrypted keys are kept in the store. -backup-retrieve prints them, -backup-delete removes them.\n',
    )
  }
  if (made['verification_required'] === true) {
    output.line(
      `The old keys stay valid until enough of the new ones are given back, each by this command with -verify and\n-nonce=${plain(made['verification_nonce'])}. Until then, -cancel gives the new ones up.`,
    )
  } else if (list('keys').length === 0) {
    output.line('The root key is a new one. The server unseals itself, so there are no keys to hand out.')
  } else {
    const what = given.target === 'barrier' ? 'unseal the server' : 'recover it'
    output.line(`From now on these keys ${what}, and the old ones do not. They are shown this once.`)
  }
  return EXIT_OK
}

function placeOf({ flags: given }: RekeyCall, places: Places): string {
  return given.target === 'barrier' ? places.barrier : places.recovery
}

function backupOf({ flags: given }: RekeyCall, places: Places): string {
  return given.target === 'barrier' ? places.barrierBackup : places.recoveryBackup
}
