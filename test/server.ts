/** A real server on a free port, with a clock the test moves. For tests only. */
import { once } from 'node:events'
import { readdir, readFile, mkdtemp, rm } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { StrongroomNode } from '#boot/compose.ts'
import type { NodeOptions } from '#boot/node-options.ts'
import { enableFirstMounts } from '#boot/first-mounts.ts'
import { ServerLog } from '#boot/log.ts'
import { listen } from '#boot/run.ts'
import type { Limits } from '#http/options.ts'

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  /** Parsed where it is JSON, else undefined. */
  body: any
  text: string
}

export interface Options {
  /** Where the clock stands; without it the real clock runs. */
  at?: string
  storage?: 'memory' | 'sqlite'
  /** Left alone when false: not even initialised. */
  ready?: boolean
  /** KV v2 at secret/, as a person finds it. */
  secret?: boolean
  rootToken?: string
  /** Keep and reuse a data folder (sqlite). */
  folder?: string
  limits?: Partial<Limits>
  telemetry?: NodeOptions['telemetry']
  seal?: NodeOptions['seal']
  unauthedRekey?: boolean
  /** Threads that answer requests, over a store in a folder; STRONGROOM_TEST_WORKERS where a test says nothing. */
  workers?: number
}

/**
 * A clock that the test moves stands in this thread alone, so such a server has one; so has one whose store or seal the test
 * looks into by itself.
 */
function workersFor({ workers, at }: Options): number {
  return workers ?? (at === undefined ? Number(process.env['STRONGROOM_TEST_WORKERS'] ?? 1) : 1)
}

export type TestServer = Awaited<ReturnType<typeof startServer>>

const LEASE_SECONDS = 768 * 3600

export async function startServer(options: Options = {}) {
  let now = options.at === undefined ? undefined : new Date(options.at)
  const clock = { now: () => now ?? new Date() }
  const ledgerFolder = await mkdtemp(path.join(tmpdir(), 'strongroom-test-ledger-'))
  const workers = workersFor(options)
  const folder =
    options.folder ??
    (options.storage === 'sqlite' || workers > 1 ? await mkdtemp(path.join(tmpdir(), 'strongroom-test-')) : undefined)
  const logged: string[] = []
  // What was said, without when and by whom.
  const serverLog = new ServerLog((line) => logged.push(line.replace(/^\S+ \[\w+\] +[\w-]+: /, '').trimEnd()))
  const node = await StrongroomNode.open({
    storage: folder === undefined ? { type: 'memory', options: {} } : { type: 'sqlite', options: { path: folder } },
    ledgerFolder,
    ...(options.telemetry && { telemetry: options.telemetry }),
    seal: options.seal ?? { type: 'shamir' },
    unauthedRekey: options.unauthedRekey ?? true,
    defaultLeaseTtlSeconds: LEASE_SECONDS,
    maxLeaseTtlSeconds: LEASE_SECONDS,
    clock,
    workers,
    log: serverLog.named('core'),
    serverLog,
  })
  let root = options.rootToken ?? 'root'
  let unsealKey = ''
  if (options.ready !== false && !node.seal.status().initialized) {
    const one = { shares: 1, threshold: 1, storedShares: 0, recoveryShares: 0, recoveryThreshold: 0 }
    const { shares, rootToken } = await node.initialize(one, root)
    root = rootToken
    unsealKey = Buffer.from(shares[0]!).toString('base64')
    await node.unsealWith(shares)
    if (options.secret) await enableFirstMounts(node)
  }
  const [listener] = await listen(node, [{ address: '127.0.0.1:0', ...(options.limits && { limits: options.limits }) }])
  const port = Number(listener!.address.split(':').at(-1))

  function send(
    method: string,
    where: string,
    body?: unknown,
    { token = root, headers = {} }: { token?: string | null; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    return sendTo(port, method, where, body, { ...(token !== null && { 'x-vault-token': token }), ...headers })
  }

  return {
    node,
    port,
    address: `http://127.0.0.1:${port}`,
    root,
    unsealKey,
    folder,
    ledgerFolder,
    logged,
    log: serverLog,
    tick: (seconds: number) => {
      now = new Date(clock.now().getTime() + seconds * 1000)
    },
    send,
    read: (where: string, token?: string | null) => send('GET', where, undefined, token === undefined ? {} : { token }),
    list: (where: string, token?: string | null) =>
      send('LIST', where, undefined, token === undefined ? {} : { token }),
    write: (where: string, body: unknown, token?: string | null) =>
      send('POST', where, body, token === undefined ? {} : { token }),
    delete: (where: string, token?: string | null) =>
      send('DELETE', where, undefined, token === undefined ? {} : { token }),
    /** A service token with these policies. */
    login: async (policies: string[], rest: Record<string, unknown> = {}): Promise<string> =>
      (await send('POST', 'auth/token/create', { policies, ...rest })).body.auth.client_token,
    /** Lines of the ledger, parsed, without segment headers. */
    trail: async (): Promise<any[]> => {
      const lines: any[] = []
      for (const name of (await readdir(ledgerFolder)).filter((each) => each.endsWith('.jsonl')).toSorted()) {
        const text = await readFile(path.join(ledgerFolder, name), 'utf8')
        lines.push(
          ...text
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => JSON.parse(line)),
        )
      }
      return lines.filter((line) => line.type === 'request' || line.type === 'response')
    },
    /** Ends it; with `keep` the data folder stays, for another server on it. */
    async stop({ keep = false } = {}) {
      await listener!.close({ drainSeconds: 0 })
      await node.close()
      await rm(ledgerFolder, { recursive: true, force: true })
      if (folder !== undefined && !keep && options.folder === undefined)
        await rm(folder, { recursive: true, force: true })
    },
    async [Symbol.asyncDispose]() {
      await this.stop()
    },
  }
}

/** Raw methods (LIST) and exact paths go out as they are, which fetch would not do. */
export async function sendTo(
  port: number,
  method: string,
  where: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<Answer> {
  const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
  const outgoing = request({
    port,
    method,
    path: where.startsWith('/') ? where : `/v1/${where}`,
    agent: false,
    headers: {
      ...(method === 'PATCH' && { 'content-type': 'application/merge-patch+json' }),
      ...(payload !== undefined && { 'content-length': String(Buffer.byteLength(payload)) }),
      ...headers,
    },
  })
  outgoing.end(payload)
  const [response] = await once(outgoing, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString('utf8')
  let parsed: any
  try {
    parsed = JSON.parse(text)
  } catch {
    parsed = undefined
  }
  return { status: response.statusCode, headers: response.headers, body: parsed, text }
}
