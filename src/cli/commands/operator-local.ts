/**
 * What an operator does on the server's own machine, without a server: looks at its configuration and surroundings, makes and
 * restores backups. The server's program does it, as a process of its own: the command line knows nothing of its insides.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { command } from '#cli/command.ts'
import { EXIT_LOCAL } from '#cli/failure.ts'
import { tellsProgress, whileTelling } from '#cli/progress.ts'

const server = path.resolve(import.meta.dirname, '../../main.ts')

const places = {
  config: { type: 'list', about: 'Configuration file of the server, or a folder of them. May be given several times.' },
  data: { type: 'string', about: 'Data folder of a server that was made by "strongroom start".' },
} as const

export const backup = command({
  usage: '-config=FILE -to=FOLDER',
  details:
    'Copies the store and the ledger into a new folder, as they are at one moment, while the server runs or not. Entries stay encrypted: restoring one needs the unseal keys or the seal of the server it was made of.\n\nRun it as the user of the server. Keys and tokens in the folder of "strongroom start" are not copied.',
  examples: [
    {
      about: 'A backup for each night:',
      words: 'strongroom operator backup -config=/etc/strongroom/server.hcl -to=/backup/strongroom-$(date +%F)',
    },
  ],
  flags: { ...places, to: { type: 'string', about: 'Folder to make. It must not be there yet.' } },
  output: 'none',
  offline: true,
  arguments: { min: 0, max: 0 },
  run: ({ flags }) => handOverLong('operator-backup', [...placeWords(flags), ...word('to', flags.to)]),
})

export const restore = command({
  usage: '-from=FOLDER (-config=FILE | -check)',
  details:
    'Puts a backup where no store is, each file checked against its digest. A server that runs there, a store or another ledger are left as they are, and it is told.',
  flags: {
    ...places,
    from: { type: 'string', about: 'Folder of the backup.' },
    check: { type: 'boolean', default: false, about: 'Only look whether the backup is whole.' },
  },
  output: 'none',
  offline: true,
  arguments: { min: 0, max: 0 },
  run: ({ flags }) =>
    handOverLong('operator-restore', [
      ...placeWords(flags),
      ...word('from', flags.from),
      ...(flags.check ? ['-check'] : []),
    ]),
})

export const diagnose = command({
  usage: '-config=FILE [-skip=PART]',
  details:
    'Checks the configuration, the operating system, the store, the seal, listeners with their certificates, and audit devices. Changes nothing, and may be run beside a running server. Each line that is not ok is followed by how to mend it.\n\nRun it as the user of the server. Ends with 0 when all is well, 1 when something keeps the server from its work, and 2 for warnings.',
  flags: {
    config: places.config,
    skip: {
      type: 'list',
      about: 'Part to leave out: system, storage, autounseal, listener or audit. May be repeated.',
    },
    debug: { type: 'boolean', default: false, about: 'Also tell how long each part took.' },
  },
  output: 'format',
  offline: true,
  arguments: { min: 0, max: 0 },
  async run({ flags, output }) {
    const words = [...flags.config.map((each) => `-config=${each}`), ...flags.skip.map((each) => `-skip=${each}`)]
    if (output.format === 'table') return handOver('operator-diagnose', [...words, ...(flags.debug ? ['-debug'] : [])])
    const { code, text } = await capture('operator-diagnose', [...words, '-format=json'])
    if (text !== '') await output.data(JSON.parse(text) as Record<string, unknown>)
    return code
  },
})

function placeWords({ config, data }: { config: readonly string[]; data: string | undefined }): string[] {
  return [...config.map((each) => `-config=${each}`), ...word('data', data)]
}

function word(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [`-${name}=${value}`]
}

async function capture(name: string, words: readonly string[]): Promise<{ code: number; text: string }> {
  const child = spawn(process.execPath, [server, name, ...words], { stdio: ['inherit', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code: code ?? EXIT_LOCAL, text }
}

/** The same where it may take minutes: on a terminal the program tells what it is at, and speaks when it is done. */
async function handOverLong(name: string, words: readonly string[]): Promise<number> {
  if (!tellsProgress()) return await handOver(name, words)
  const child = spawn(process.execPath, [server, name, ...words], { stdio: ['inherit', 'pipe', 'pipe', 'ipc'] })
  let [stage, said, complaint] = ['Beginning', '', '']
  child.on('message', (message) => {
    if (typeof message === 'string') stage = message
  })
  child.stdout!.setEncoding('utf8').on('data', (part: string) => (said += part))
  child.stderr!.setEncoding('utf8').on('data', (part: string) => (complaint += part))
  const [code] = await whileTelling(
    () => stage,
    async () => (await once(child, 'close')) as [number | null],
  )
  process.stdout.write(said)
  process.stderr.write(complaint)
  return code ?? EXIT_LOCAL
}

async function handOver(name: string, words: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [server, name, ...words], { stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  return code ?? EXIT_LOCAL
}
