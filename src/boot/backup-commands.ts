/** What `operator backup` and `operator restore` say and are told. The command line starts them as processes of their own. */
import path from 'node:path'
import { checkCopy } from '#storage/sqlite/copy.ts'
import { checkBackup, type Manifest, STORE } from './backup-manifest.ts'
import { makeBackup, type Places, restoreBackup } from './backup.ts'
import { ConfigError, readConfig } from './config.ts'
import { type FlagSpec, parseFlags } from './flags.ts'

const places = {
  config: { kind: 'text', many: true, about: 'Configuration of the server.' },
  data: { kind: 'text', about: 'Data folder of a server without one.' },
} satisfies Record<string, FlagSpec>

export async function backupCommand(args: readonly string[]): Promise<number> {
  const values = flagsOf({ ...places, to: { kind: 'text', about: 'Folder to make.' } }, args)
  const target = path.resolve(needed(values, 'to'))
  const manifest = await makeBackup(placesOf(values), target, tellParent)
  process.stdout.write(`Success! Backup made in ${target}: ${contents(manifest)}\n`)
  return 0
}

export async function restoreCommand(args: readonly string[]): Promise<number> {
  const specs = {
    ...places,
    from: { kind: 'text', about: 'The backup.' },
    check: { kind: 'boolean', about: 'Only check it.' },
  } satisfies Record<string, FlagSpec>
  const values = flagsOf(specs, args)
  const backup = path.resolve(needed(values, 'from'))
  if (values.has('check')) {
    tellParent('Checking the backup')
    const manifest = await checkBackup(backup)
    checkCopy(path.join(backup, STORE))
    process.stdout.write(`Success! The backup ${backup} is whole: ${contents(manifest)}\n`)
    return 0
  }
  const to = placesOf(values)
  const manifest = await restoreBackup(backup, to, tellParent)
  process.stdout.write(`Success! Restored to ${to.data}: ${contents(manifest)}\nStart the server and unseal it.\n`)
  return 0
}

/** The command line shows it to whoever waits at a terminal. Started otherwise, nobody listens. */
function tellParent(stage: string): void {
  process.send?.(stage)
}

function flagsOf(specs: Readonly<Record<string, FlagSpec>>, args: readonly string[]): Map<string, string[]> {
  const parsed = parseFlags(specs, args)
  if (!parsed.ok) throw new ConfigError(parsed.message)
  return parsed.values
}

function needed(values: ReadonlyMap<string, readonly string[]>, name: string): string {
  const [value] = values.get(name) ?? []
  if (!value) throw new ConfigError(`-${name} is needed: a folder`)
  return value
}

function placesOf(values: ReadonlyMap<string, readonly string[]>): Places {
  const [data] = values.get('data') ?? []
  const config = values.get('config')
  if ((data === undefined) === (config === undefined)) {
    throw new ConfigError(
      'say where the data is: -config=FILE, or -data=FOLDER for a server made by `strongroom start`',
    )
  }
  if (data !== undefined) return { data: path.resolve(data), ledger: path.resolve(data, 'ledger') }
  const { storage, ledgerFolder } = readConfig(config!)
  const folder = storage.options['path']
  if (storage.type === 'postgres') {
    throw new ConfigError(
      'the data lies in a database: back it up with its own tools (pg_dump), and the ledger as files',
    )
  }
  if (folder === undefined)
    throw new ConfigError('the configuration keeps its data in memory: there is nothing on disk')
  return { data: path.resolve(folder), ledger: path.resolve(ledgerFolder ?? path.join(folder, 'ledger')) }
}

function contents({ entries, files, ledger_head, made_at }: Manifest): string {
  const bytes = files.reduce((sum, each) => sum + each.bytes, 0)
  const head = ledger_head ? `, ledger up to line ${ledger_head.seq} (${ledger_head.hash.slice(0, 16)}…)` : ''
  return `${entries} entries, ${Math.ceil(bytes / 1024)} KiB${head}, of ${made_at}`
}
