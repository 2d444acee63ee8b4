/** From a composed server to one that listens, until a signal ends it. */
import { createListener, type Listener } from '#http/server.ts'
import { type ListenerOptions, parseAddress } from '#http/options.ts'
import type { StrongroomNode } from './compose.ts'
import type { SharedListener } from './workers/protocol.ts'
import { logLine, serverLog } from './log.ts'

/** How long requests under way may go on after SIGTERM. */
const DRAIN_SECONDS = 20

export interface ListenOptions extends ListenerOptions {
  /** Where they come from, for threads that make them anew: functions cannot be handed over. */
  source?: Extract<SharedListener['source'], { stanza: unknown }>
}

/** @throws Error when an address cannot be listened on; nothing listens then */
export async function listen(node: StrongroomNode, options: readonly ListenOptions[]): Promise<Listener[]> {
  const shared = node.workers.count > 1
  const listeners: Listener[] = []
  try {
    for (const { source: _, ...each } of options) {
      const listener = createListener((incoming) => node.gate.handle(incoming), {
        log: serverLog.named('http', 'error'),
        onAnswer: node.observation.countAnswer,
        ...each,
        ...(shared && isTcp(each) && { reusePort: true }),
        // What the store says wins over the configuration; while sealed there is only the configuration.
        crossOrigin: async () => (await node.settings?.cors.rules()) ?? (await each.crossOrigin?.()),
        pageHeaders: async () => (await node.settings?.uiHeaders.all())?.flat() ?? [],
      })
      await listener.listen()
      listeners.push(listener)
    }
    return shared ? await shareAmong(node, options, listeners) : listeners
  } catch (error) {
    await Promise.all(listeners.map((listener) => listener.close({ drainSeconds: 0 })))
    throw error
  }
}

/** A unix socket cannot be listened on twice, nor a connection handed to a thread: this thread answers those alone. */
async function shareAmong(
  node: StrongroomNode,
  options: readonly ListenOptions[],
  listeners: readonly Listener[],
): Promise<Listener[]> {
  const places = options.flatMap((each, at) => (isTcp(each) ? [at] : []))
  const crew = await node.workers.start(
    places.map((at) => {
      const { source, tls, limits } = options[at]!
      return {
        address: listeners[at]!.address,
        source: source ?? { plain: { ...(tls && { tls }), ...(limits && { limits }) } },
      }
    }),
  )
  return listeners.map((listener, at) => (places.includes(at) ? crew.spread(listener, places.indexOf(at)) : listener))
}

function isTcp({ address }: ListenerOptions): boolean {
  return !('path' in parseAddress(address))
}

/**
 * SIGTERM and SIGINT end the server after the requests under way, a second one without waiting for them; SIGHUP opens files
 * and certificates again.
 *
 * @param last  done when all is closed
 */
export function obeySignals(
  node: StrongroomNode,
  listeners: readonly Listener[],
  { again, last }: { again?: () => void; last?: () => void } = {},
): void {
  let signals = 0
  const end = (signal: string) => {
    signals += 1
    if (signals === 1) {
      logLine(`${signal}: finishing what is under way, then stopping; a second signal stops at once`)
      void shutDown(node, listeners).then(async (code) => {
        last?.()
        await serverLog.close()
        process.exit(code)
      })
    } else if (signals === 2) {
      logLine(`${signal}: what is under way is cut off`)
      for (const listener of listeners) listener.cut()
    }
  }
  process.on('SIGTERM', () => end('SIGTERM'))
  process.on('SIGINT', () => end('SIGINT'))
  process.on('SIGHUP', () => {
    serverLog.reopen()
    again?.()
    void reload(node, listeners)
  })
}

async function shutDown(node: StrongroomNode, listeners: readonly Listener[]): Promise<number> {
  try {
    await Promise.all(listeners.map((listener) => listener.close({ drainSeconds: DRAIN_SECONDS })))
    await node.close()
    return 0
  } catch (error) {
    logLine(`stopping failed: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  }
}

/** All are tried: a certificate that is broken must not keep the audit files from being opened anew. */
async function reload(node: StrongroomNode, listeners: readonly Listener[]): Promise<void> {
  const results = await Promise.allSettled([...listeners.map(reloadTls), node.reload()])
  const failed = results.filter((result) => result.status === 'rejected')
  for (const { reason } of failed) logLine(`SIGHUP: ${reason instanceof Error ? reason.message : String(reason)}`)
  if (failed.length === 0) logLine('SIGHUP: certificates and audit files are open anew')
}

async function reloadTls(listener: Listener): Promise<void> {
  try {
    await listener.reloadTls()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`the certificate of ${listener.address} stays as it was: ${why}`, { cause: error })
  }
}
