/**
 * `strongroom start`: a server for people. Keeps its data in a folder, initialises and unseals itself on the first run, and
 * says where its keys are and what to try next.
 *
 * In the data folder: `strongroom.db` and `ledger/` (the store's), `unseal-key` and `root-token` (mode 600, ours).
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import { StrongroomNode } from './compose.ts'
import { type FlagSpec, flagHelp, parseFlags } from './flags.ts'
import { enableFirstMounts } from './first-mounts.ts'
import { logLine } from './log.ts'
import { listen, obeySignals } from './run.ts'

const LEASE_SECONDS = 768 * 3600

const flags = {
  data: { kind: 'text', about: 'Folder of the data (./strongroom-data).' },
  address: { kind: 'text', about: 'Where to listen (127.0.0.1:8200, or a free port if that is taken).' },
  help: { kind: 'boolean', about: 'Print this help.' },
} satisfies Record<string, FlagSpec>

const help = `Usage: strongroom start [-data=FOLDER] [-address=HOST:PORT]

  Starts a server that keeps its data in a folder. The first run makes the keys; later runs go on.

${flagHelp(flags)}
`

export async function startCommand(args: readonly string[]): Promise<number | undefined> {
  const parsed = parseFlags(flags, args)
  if (!parsed.ok || parsed.values.has('help')) {
    const out = parsed.ok ? process.stdout : process.stderr
    out.write(parsed.ok ? help : `${parsed.message}\n\n${help}`)
    return parsed.ok ? 0 : 1
  }
  const folder = path.resolve(parsed.values.get('data')?.[0] ?? 'strongroom-data')
  const address = parsed.values.get('address')?.[0] ?? (await freeAddress())
  const node = await StrongroomNode.open({
    storage: { type: 'sqlite', options: { path: folder } },
    ledgerFolder: undefined,
    seal: { type: 'shamir' },
    defaultLeaseTtlSeconds: LEASE_SECONDS,
    maxLeaseTtlSeconds: LEASE_SECONDS,
    log: logLine,
  })
  const first = !node.seal.status().initialized
  if (first) await firstRun(node, folder)
  else await unseal(node, folder)
  const listeners = await listen(node, [{ address }])
  obeySignals(node, listeners)
  process.stdout.write(greeting(folder, address, first))
  return undefined
}

async function firstRun(node: StrongroomNode, folder: string): Promise<void> {
  const one = { shares: 1, threshold: 1, storedShares: 0, recoveryShares: 0, recoveryThreshold: 0 }
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const { shares, rootToken } = await node.initialize(one)
  // A crash before both files are there leaves a store that nobody can open, and nothing in it yet: then the folder has
  // to be removed by hand, which `unseal` says.
  await writeSecret(path.join(folder, 'unseal-key'), Buffer.from(shares[0]!).toString('base64'))
  await writeSecret(path.join(folder, 'root-token'), rootToken)
  await node.unsealWith(shares)
  for (const share of shares) share.fill(0)
  await enableFirstMounts(node)
}

async function unseal(node: StrongroomNode, folder: string): Promise<void> {
  const file = path.join(folder, 'unseal-key')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch {
    logLine(`no unseal key in ${file}: the server stays sealed until shares are given (strongroom operator unseal)`)
    return
  }
  await node.unsealWith([Buffer.from(text.trim(), 'base64')])
}

/** Whole or not at all, and for the owner only. */
async function writeSecret(file: string, text: string): Promise<void> {
  const draft = `${file}.new`
  const handle = await open(draft, 'w', 0o600)
  try {
    await handle.writeFile(`${text}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, file)
}

/** The usual port, or any free one when somebody else has it. */
async function freeAddress(): Promise<string> {
  const port = (await tryPort(8200)) ?? (await tryPort(0))
  return `127.0.0.1:${port}`
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

function greeting(folder: string, address: string, first: boolean): string {
  return `
Strongroom ${first ? 'is ready: its keys were made just now.' : 'goes on with what is in its folder.'}

  Address      http://${address}
  Data         ${folder}
  Root token   ${path.join(folder, 'root-token')}   (may do everything: make tokens with fewer rights for daily work)
  Unseal key   ${path.join(folder, 'unseal-key')}   (opens the data: keep a copy elsewhere)

Try, in another terminal:

  export VAULT_ADDR=http://${address} VAULT_TOKEN=$(cat ${path.join(folder, 'root-token')})
  strongroom kv put secret/app password=opensesame
  strongroom kv get secret/app

For production, use \`strongroom server -config=…\` with TLS, and keys that do not lie beside the data.
`
}
