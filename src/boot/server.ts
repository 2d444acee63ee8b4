/** `strongroom server`: from a configuration file, or in memory for development. */
import { hostname } from 'node:os'
import type { ListenerOptions } from '#http/options.ts'
import { StrongroomNode } from './compose.ts'
import { readConfig, type ServerConfig } from './config.ts'
import { applyChanges } from './config-changes.ts'
import { telemetryConfig } from './telemetry.ts'
import { lockoutConfig, lockoutDisabled } from './config-lockout.ts'
import { type FlagSpec, flagHelp, parseFlags } from './flags.ts'
import { listenerOptions } from './listeners.ts'
import { logLine, serverLog } from './log.ts'
import { type FlagValues, readLevelAgain, setUpLog } from './log-setup.ts'
import { coreNotice, memoryNotice, quietReports, refuseWatchers } from './memory.ts'
import { writePidFile } from './pid-file.ts'
import { workersOf } from './workers/count.ts'
import { listen, obeySignals } from './run.ts'
import { sanitizedConfig } from './sanitized.ts'
import { sealConfig } from './seals.ts'
import { runDev } from './dev.ts'

export const serverFlags = {
  config: {
    kind: 'text',
    many: true,
    about: 'A configuration file, or a folder of .hcl and .json files. May be repeated.',
  },
  dev: {
    kind: 'boolean',
    about: 'Run in memory, unsealed, with KV at secret/. For development only: all is lost at the end.',
  },
  'dev-root-token-id': { kind: 'text', about: 'With -dev: the root token.' },
  'dev-listen-address': { kind: 'text', about: 'With -dev: where to listen (127.0.0.1:8200).' },
  'dev-tls': { kind: 'boolean', about: 'With -dev: serve TLS with a certificate made for this run.' },
  'dev-no-store-token': { kind: 'boolean', about: 'With -dev: do not write the root token to ~/.vault-token.' },
  workers: { kind: 'text', about: 'Threads that answer requests, 1 to 64; "auto": one for each core (1).' },
  'log-level': { kind: 'text', about: 'How much the log tells: trace, debug, info, warn or error (info).' },
  'log-format': { kind: 'text', about: 'Lines of the log: standard or json (standard).' },
  'log-file': { kind: 'text', about: 'A file, or a folder for it, that the log is kept in besides.' },
  'log-rotate-bytes': { kind: 'text', about: 'Begin a new file after so many bytes (0: never for that).' },
  'log-rotate-duration': { kind: 'text', about: 'Begin a new file after this time (24h).' },
  'log-rotate-max-files': { kind: 'text', about: 'How many older files are kept; 0: all, -1: none (0).' },
  help: { kind: 'boolean', about: 'Print this help.' },
} satisfies Record<string, FlagSpec>

const help = `Usage: strongroom server -config=FILE|FOLDER
       strongroom server -dev [-dev-root-token-id=ID] [-dev-listen-address=HOST:PORT] [-dev-tls]

  Starts a server. \`strongroom start\` needs no configuration and keeps its data.

${flagHelp(serverFlags)}
`

/** @returns the exit status when the server did not start; a running server ends by a signal */
export async function serverCommand(args: readonly string[]): Promise<number | undefined> {
  const parsed = parseFlags(serverFlags, args)
  if (!parsed.ok) {
    process.stderr.write(`${parsed.message}\n\n${help}`)
    return 1
  }
  const { values } = parsed
  const given = (name: keyof typeof serverFlags) => values.get(name)?.[0]
  if (given('help') === 'true') {
    process.stdout.write(help)
    return 0
  }
  if (given('dev') === 'true') {
    setUpLog(values, {})
    await runDev({
      rootToken: given('dev-root-token-id'),
      address: given('dev-listen-address') ?? '127.0.0.1:8200',
      tls: given('dev-tls') === 'true',
      storeToken: given('dev-no-store-token') !== 'true',
    })
    return undefined
  }
  const places = values.get('config')
  if (!places) {
    process.stderr.write(`no configuration: give -config=FILE, or -dev for a server in memory\n\n${help}`)
    return 1
  }
  await runConfigured(places, values)
  return undefined
}

async function runConfigured(places: readonly string[], flagValues: FlagValues): Promise<void> {
  refuseWatchers(process.execArgv, process.env['NODE_OPTIONS'])
  quietReports()
  const config = readConfig(places)
  setUpLog(flagValues, config.scalars)
  const notices = [...config.notices]
  const workers = workersOf(flagValues.get('workers')?.[0]) ?? config.workers
  if (workers !== undefined && workers > 1 && config.storage.type !== 'sqlite') {
    notices.push(`storage "${config.storage.type}" is used by one thread: workers has no effect`)
  }
  const userLockout = lockoutConfig(config.userLockout, notices)
  const telemetry = telemetryConfig(config.telemetry, notices)
  const tell = serverLog.named('config', 'warn')
  for (const notice of [...notices, memoryNotice(), coreNotice()]) if (notice !== undefined) tell(notice)
  // Addresses and certificates are looked at before the store is opened: a mistake there costs nothing.
  const forAll = { maxRequestSeconds: config.maxRequestSeconds, ...(config.tellHostname && { hostname: hostname() }) }
  const options = config.listeners.map((stanza) => ({
    ...listenerOptions(stanza, forAll),
    source: { stanza, forAll },
  }))
  const node = await StrongroomNode.open({
    ...config,
    userLockout,
    telemetry,
    workers,
    disableUserLockout: lockoutDisabled(process.env),
    seal: sealConfig(config, process.env),
    log: logLine,
    serverLog,
    configState: sanitizedConfig(config),
    fixedHeaders: namesOf(options),
  })
  // Not before the store is ours: the number of a server that has it must not be overwritten.
  const removePidFile = config.pidFile === undefined ? undefined : writePidFile(config.pidFile)
  try {
    const listeners = await listen(node, options)
    obeySignals(node, listeners, {
      again: () => {
        applyChanges(places, config, listeners)
        readLevelAgain(places)
      },
      ...(removePidFile && { last: removePidFile }),
    })
    tellStart(node, config, options)
  } catch (error) {
    removePidFile?.()
    throw error
  }
}

function tellStart(node: StrongroomNode, config: ServerConfig, options: readonly ListenerOptions[]): void {
  const where = options.map(({ address, tls }) => `${tls ? 'https' : 'http'}://${address}`).join(', ')
  const { initialized, sealed } = node.seal.status()
  logLine(
    `listening on ${where}; storage ${config.storage.type}; ${initialized ? (sealed ? 'sealed' : 'unsealed') : 'not initialised'}`,
  )
}

/** Lower case: of headers that a listener sets, so that nobody sets them otherwise for pages. */
function namesOf(options: readonly ListenerOptions[]): Set<string> {
  const all = options.flatMap(({ responseHeaders = {} }) => Object.values(responseHeaders).flat())
  return new Set(all.map(([name]) => name.toLowerCase()))
}
