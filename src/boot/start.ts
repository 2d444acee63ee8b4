/**
 * `strongroom start`: a server for people. Keeps its data in a folder, initialises and unseals itself on the first run, and
 * says where its keys are and what to try next.
 *
 * In the data folder: `store.db` and `ledger/` (the store's), `unseal-key` and `root-token` (mode 600, ours), an example of a
 * configuration for production, and `first-run` from before the first key is made until all of the first run is done.
 */
import { access, chmod, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import { ApiError } from '#sdk/errors.ts'
import { StrongroomNode } from './compose.ts'
import { DEFAULT_LEASE_SECONDS } from './config.ts'
import { lockoutDisabled } from './config-lockout.ts'
import { type FlagSpec, flagHelp, parseFlags } from './flags.ts'
import { enableFirstMounts, ONE_SHARE } from './first-mounts.ts'
import { logLine, serverLog } from './log.ts'
import { setUpLog } from './log-setup.ts'
import { coreNotice, exposedSwap, memoryNotice, quietReports, refuseWatchers, swapState } from './memory.ts'
import { EXAMPLE, exampleConfiguration } from './start-example.ts'
import { listen, obeySignals } from './run.ts'
import { workersOf } from './workers/count.ts'

const KEY = 'unseal-key'
const MARK = 'first-run'

export const startFlags = {
  data: { kind: 'text', about: 'Folder of the data (./strongroom-data).' },
  address: { kind: 'text', about: 'Where to listen (127.0.0.1:8200, or a free port if that is taken).' },
  workers: { kind: 'text', about: 'Threads that answer requests, 1 to 64; "auto": one for each core (1).' },
  help: { kind: 'boolean', about: 'Print this help.' },
} satisfies Record<string, FlagSpec>

const help = `Usage: strongroom start [-data=FOLDER] [-address=HOST:PORT] [-workers=N]

  Starts a server that keeps its data in a folder. The first run makes the keys; later runs go on.

${flagHelp(startFlags)}
`

export async function startCommand(args: readonly string[]): Promise<number | undefined> {
  const parsed = parseFlags(startFlags, args)
  if (!parsed.ok || parsed.values.has('help')) {
    const out = parsed.ok ? process.stdout : process.stderr
    out.write(parsed.ok ? help : `${parsed.message}\n\n${help}`)
    return parsed.ok ? 0 : 1
  }
  const folder = path.resolve(parsed.values.get('data')?.[0] ?? 'strongroom-data')
  refuseWatchers(process.execArgv, process.env['NODE_OPTIONS'])
  quietReports()
  setUpLog(new Map(), {})
  tellMemory()
  const { address, taken } = await chooseAddress(parsed.values.get('address')?.[0])
  const node = await StrongroomNode.open({
    storage: { type: 'sqlite', options: { path: folder } },
    ledgerFolder: undefined,
    seal: { type: 'shamir' },
    defaultLeaseTtlSeconds: DEFAULT_LEASE_SECONDS,
    maxLeaseTtlSeconds: DEFAULT_LEASE_SECONDS,
    workers: workersOf(parsed.values.get('workers')?.[0]),
    disableUserLockout: lockoutDisabled(process.env),
    log: logLine,
    serverLog,
  })
  const first = !node.seal.status().initialized
  if (first) await firstRun(node, folder)
  else if (!(await goOn(node, folder))) return 1
  const listeners = await listen(node, [{ address }])
  obeySignals(node, listeners)
  const words = greeting(folder, address, first, node.seal.status().sealed)
  process.stdout.write(taken ? `\n${TAKEN}\n${words}` : words)
  return undefined
}

async function firstRun(node: StrongroomNode, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeSecret(folder, MARK, '')
  const { shares, rootToken } = await node.initialize(ONE_SHARE)
  // The key last: where it is, everything else is. A crash before it leaves a store that nobody can open, and nothing in it.
  await writeSecret(folder, EXAMPLE, exampleConfiguration(folder))
  await writeSecret(folder, 'root-token', rootToken)
  await writeSecret(folder, KEY, Buffer.from(shares[0]!).toString('base64'))
  await node.unsealWith(shares)
  for (const share of shares) share.fill(0)
  await endFirstRun(node, folder)
}

/** The store has its keys already. @returns whether the server can go on */
async function goOn(node: StrongroomNode, folder: string): Promise<boolean> {
  const cutOff = await isThere(path.join(folder, MARK))
  const file = path.join(folder, KEY)
  if (await isThere(file)) {
    await tighten(file)
    if (!(await unsealBy(node, file))) return false
    if (cutOff) await endFirstRun(node, folder)
    return true
  }
  if (!cutOff) {
    logLine(`no unseal key in ${file}: the server stays sealed until shares are given (strongroom operator unseal)`)
    return true
  }
  await node.close()
  process.stderr.write(
    `strongroom: the first run in ${folder} was cut off before its keys were written: nobody can open this store, and nothing is in it.\n` +
      `Remove the folder and start again:  rm -r '${folder}'\n`,
  )
  return false
}

/** A key that does not fit is most often a file that was copied from elsewhere or cut. */
async function unsealBy(node: StrongroomNode, file: string): Promise<boolean> {
  const share = Buffer.from((await readFile(file, 'utf8')).trim(), 'base64')
  try {
    await node.unsealWith([share])
    if (!node.seal.status().sealed) return true
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'invalid_request') throw error
  } finally {
    share.fill(0)
  }
  await node.close()
  process.stderr.write(
    `strongroom: the key in ${file} does not open the store: the file is damaged or belongs to another one.\n` +
      'Put the right key back from your copy. Or move the file away and start again: the server then waits, sealed, for\n' +
      '`strongroom operator unseal`. Without the key nobody can read the data.\n',
  )
  return false
}

/** Keys that others may read are no longer ours alone; from now on they are, and it is told. */
async function tighten(file: string): Promise<void> {
  const { mode } = await stat(file)
  if (process.platform === 'win32' || (mode & 0o077) === 0) return
  await chmod(file, 0o600)
  logLine(`other users of this machine could read ${file} (mode ${(mode & 0o777).toString(8)}); that is mended`)
}

function tellMemory(): void {
  // Somebody who tries things out need not read that all is well.
  const state = swapState()
  const notices = [exposedSwap(state).length > 0 ? memoryNotice(state) : undefined, coreNotice()]
  for (const notice of notices) if (notice !== undefined) logLine(notice)
}

async function endFirstRun(node: StrongroomNode, folder: string): Promise<void> {
  const { mounts } = node.core
  const made = await mounts.at('secret', 'secret')
  // Cut off in the making, it is no mount yet, and would soon be removed. It has given out nothing.
  if (made?.entry.tainted) await mounts.disable('secret', 'secret', async () => {})
  if (!made || made.entry.tainted) await enableFirstMounts(node)
  await rm(path.join(folder, MARK), { force: true })
  await syncFolder(folder)
}

async function isThere(file: string): Promise<boolean> {
  try {
    await access(file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** Whole or not at all, and for the owner only. */
async function writeSecret(folder: string, name: string, text: string): Promise<void> {
  const file = path.join(folder, name)
  const draft = `${file}.new`
  const handle = await open(draft, 'w', 0o600)
  try {
    await handle.writeFile(`${text}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, file)
  await syncFolder(folder)
}

/** Names are on disk only then. Windows can neither open nor sync a folder, and keeps names by itself. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const USUAL_PORT = 8200
const TAKEN = `Another program listens on port ${USUAL_PORT}, so a free one was chosen; -address=127.0.0.1:PORT chooses another.`

/** The usual port, or any free one when somebody else has it. */
async function chooseAddress(given: string | undefined): Promise<{ address: string; taken: boolean }> {
  if (given !== undefined) return { address: given, taken: false }
  const usual = await tryPort(USUAL_PORT)
  return { address: `127.0.0.1:${usual ?? (await tryPort(0))}`, taken: usual === undefined }
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(undefined))
    probe.listen(port, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : undefined))
    })
  })
}

function greeting(folder: string, address: string, first: boolean, sealed: boolean): string {
  const state = sealed ? 'is sealed: give it its unseal key.' : 'goes on with what is in its folder.'
  return `
Strongroom ${first ? 'is ready: its keys were made just now.' : state}

  Address      http://${address}
  Data         ${folder}
  Root token   ${path.join(folder, 'root-token')}   (may do everything: make tokens with fewer rights for daily work)
  Unseal key   ${path.join(folder, 'unseal-key')}   (opens the data: keep a copy elsewhere)

Try, in another terminal:

  export PATH=${path.resolve(import.meta.dirname, '../../bin')}:$PATH
  export STRONGROOM_ADDR=http://${address} STRONGROOM_TOKEN=$(cat ${path.join(folder, 'root-token')})
  strongroom kv put secret/app password=opensesame
  strongroom kv get secret/app

For production, use \`strongroom server -config=…\` with TLS, and keys that do not lie beside the data: ${path.join(folder, EXAMPLE)}
is a beginning, docs/operator-guide.md the whole way. \`strongroom operator backup -data=${folder} -to=…\` makes a backup.
`
}
