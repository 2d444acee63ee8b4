/**
 * Fills a data folder with as many KV v2 secrets and log-in tokens, each with its lease, as are asked for: through the
 * engine's and the tokens' own code, so that what lies there is what a server would have written, but thousands of changes
 * in one transaction.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { StrongroomNode } from '#boot/compose.ts'
import { Census } from '#core/quotas/census.ts'
import { Leases } from '#core/leases/leases.ts'
import type { Token } from '#core/tokens/token.ts'
import { Tokens } from '#core/tokens/tokens.ts'
import type { Call, Clock, Grant, MountSettings } from '#sdk/engine.ts'
import type { Storage, StorageTransaction } from '#sdk/storage.ts'
import { startStrongroom } from './million-server.ts'

export interface Counts {
  secrets: number
  /** Each with a lease of its own, as a log-in gives it. */
  tokens: number
  /** Of secrets made for the first of these tokens, one each. */
  leases: number
}

export const PER_FOLDER = 1000
const LEASE_SECONDS = 768 * 3600
/** Of one transaction: three entries for each token and secret, and the store takes 10,000. */
const AT_ONCE = 3000
const VALUE_BYTES = 300
/** Pairs of a token and a secret's lease. */
const DUE_AT_ONCE = 1000
const DUE_SECONDS = 3600
/** Where the leases of secrets lie that `fillDue` makes. */
export const DUE_PREFIX = 'bench/creds/app'
/** No divisor of the counts: secrets are written in an order that has nothing to do with their names. */
const STRIDE = 7919
/** Names what is in the folder; written last, so that half a fill is never taken for a whole one. */
const FILLED = 'filled.json'

export function secretPath(n: number): string {
  return `app/f${String(Math.floor(n / PER_FOLDER)).padStart(4, '0')}/secret-${String(n % PER_FOLDER).padStart(4, '0')}`
}

export async function fill(folder: string, counts: Counts): Promise<void> {
  const mark = path.join(folder, FILLED)
  const wanted = JSON.stringify(counts)
  if (existsSync(mark)) {
    if (readFileSync(mark, 'utf8') === wanted) return
    throw new Error(`${folder} holds ${readFileSync(mark, 'utf8')}: give another folder, or remove it`)
  }
  if (existsSync(folder)) throw new Error(`${folder} is there, and not filled: remove it, or give another folder`)
  const first = await startStrongroom(folder)
  await first.stop()
  const node = await openNode(folder)
  await fillNode(node, counts)
  await node.close()
  writeFileSync(mark, wanted)
}

async function openNode(folder: string): Promise<StrongroomNode> {
  const node = await StrongroomNode.open({
    storage: { type: 'sqlite', options: { path: folder } },
    ledgerFolder: undefined,
    seal: { type: 'shamir' },
    defaultLeaseTtlSeconds: LEASE_SECONDS,
    maxLeaseTtlSeconds: LEASE_SECONDS,
    log: () => undefined,
  })
  await node.unsealWith([Buffer.from(readFileSync(path.join(folder, 'unseal-key'), 'utf8').trim(), 'base64')])
  return node
}

/** More leases, all of which end at `dueAt`: half of them of tokens, and for each of these one of a secret made for it. */
export async function fillDue(folder: string, count: number, dueAt: Date): Promise<void> {
  const node = await openNode(folder)
  const clock = { now: () => new Date(dueAt.getTime() - DUE_SECONDS * 1000) }
  const maker = new Maker(node, clock, DUE_SECONDS)
  const pairs = Math.ceil(count / 2)
  for (let first = 0; first < pairs; first += DUE_AT_ONCE) {
    const range = { first, end: Math.min(first + DUE_AT_ONCE, pairs) }
    await maker.leases(await maker.tokens(range, async () => undefined), DUE_PREFIX)
  }
  await node.close()
}

/** Makes tokens many in a transaction, and leases each in one of its own, as a server does. */
class Maker {
  readonly #all: Storage
  readonly #tokens: Tokens
  readonly #leases: Leases
  readonly #seconds: number
  #open: StorageTransaction | undefined

  constructor(node: StrongroomNode, clock: Clock, seconds: number) {
    const barrier = node.seal.barrier!
    const leases = barrier.storage('core/lease/')
    this.#all = barrier.storage('core/')
    this.#tokens = new Tokens({ storage: within(barrier.storage('core/token/'), this.current), clock })
    leasesOver(leases, this.#tokens, clock)
    this.#leases = leasesOver(leases, new Tokens({ storage: barrier.storage('core/token/'), clock }), clock)
    this.#seconds = seconds
  }

  readonly current = (): StorageTransaction => this.#open!

  /** @param more  what else belongs to the transaction */
  async tokens({ first, end }: { first: number; end: number }, more: () => Promise<void>): Promise<Token[]> {
    return await this.#all.transact(async (transaction) => {
      this.#open = transaction
      if (first === 0) await this.#tokens.prepare()
      await more()
      const made: Token[] = []
      for (let n = first; n < end; n += 1) made.push((await this.#tokens.login(loginOf(n, this.#seconds))).token)
      return made
    })
  }

  async leases(tokens: readonly Token[], path: string): Promise<void> {
    const mount = { accessor: 'bench_0', settings: settingsOf(this.#seconds) }
    await Promise.all(
      tokens.map(async (token, n) => {
        const slot = this.#leases.reserve({ path, token, mount })
        await slot.fill({ revoke: { n }, ttlSeconds: this.#seconds, maxTtlSeconds: 0, renewable: true })
        slot.release()
      }),
    )
  }
}

/** Nobody calls an engine here: these leases are made, not ended. */
function leasesOver(storage: Storage, tokens: Tokens, clock: Clock): Leases {
  const nothing = async () => undefined
  const census = new Census(storage.below('quota/'), async () => [])
  return new Leases({ storage, clock, tokens, census, revokeSecret: nothing, renewSecret: nothing })
}

async function fillNode(node: StrongroomNode, { secrets, tokens, leases }: Counts): Promise<void> {
  const maker = new Maker(node, node.core.clock, LEASE_SECONDS)
  const putSecret = await secretWriter(node, maker.current)
  const started = performance.now()
  const most = Math.max(secrets, tokens)
  for (let first = 0; first < most; first += AT_ONCE) {
    const range = { first, end: Math.min(first + AT_ONCE, tokens) }
    const made = await maker.tokens(range, async () => {
      for (let n = first; n < Math.min(first + AT_ONCE, secrets); n += 1) await putSecret((n * STRIDE) % secrets)
    })
    await maker.leases(made.slice(0, Math.max(0, leases - first)), `${DUE_PREFIX}-later`)
    if ((first / AT_ONCE) % 20 === 19) {
      const done = first + AT_ONCE
      const seconds = (performance.now() - started) / 1000
      console.log(`  ${done} of ${most} secrets, tokens and leases, ${Math.round(done / seconds)} a second`)
    }
  }
}

async function secretWriter(
  node: StrongroomNode,
  current: () => StorageTransaction,
): Promise<(n: number) => Promise<void>> {
  const mounted = await node.core.mounts.at('secret', 'secret/')
  if (!mounted) throw new Error('no mount at secret/')
  const { engine, mount } = mounted
  const { handle } = engine.paths(mount.settings()).find(({ pattern }) => pattern === 'data/*path')!.operations.update!
  const there = { ...mount, storage: within(mount.storage, current) }
  return async (n) => {
    const value = { password: randomBytes((VALUE_BYTES * 3) / 4).toString('base64') }
    const call: Call = {
      mount: there,
      operation: 'create',
      path: `data/${secretPath(n)}`,
      data: { path: secretPath(n), data: value },
      body: { data: value },
      bodyText: '',
      caller: undefined,
      token: undefined,
      remoteAddress: '',
      wrapped: false,
    }
    await handle(call)
  }
}

function loginOf(n: number, ttlSeconds = 0): Parameters<Tokens['login']>[0] {
  const metadata = { role_name: `role-${n % 500}` }
  const grant: Grant = {
    displayName: '',
    policies: ['app'],
    metadata,
    ttlSeconds,
    maxTtlSeconds: 0,
    periodSeconds: 0,
    explicitMaxTtlSeconds: 0,
    numUses: 0,
    renewable: true,
    tokenType: 'default',
    boundCidrs: [],
    internal: metadata,
  }
  const mount = { path: 'auth/approle/', accessor: 'auth_approle_0', settings: settingsOf(LEASE_SECONDS) }
  return { grant, path: 'auth/approle/login', mount }
}

function settingsOf(leaseSeconds: number): MountSettings {
  return { defaultLeaseTtlSeconds: leaseSeconds, maxLeaseTtlSeconds: leaseSeconds, options: {} }
}

/** The same area, whose changes become part of the transaction that is open. */
function within(real: Storage, current: () => StorageTransaction): Storage {
  const here = () => current().in(real)
  return {
    moment: () => real.moment(),
    get: (key) => real.get(key),
    getShared: (key) => real.getShared(key),
    list: (prefix, page) => real.list(prefix, page),
    keys: (prefix, page) => real.keys(prefix, page),
    update: async <T>(key: string, change: (value: T | undefined) => T | undefined) => {
      const after = change(await here().get<T>(key))
      if (after === undefined) here().delete(key)
      else here().put(key, after)
    },
    put: async (key, value) => here().put(key, value),
    delete: async (key) => here().delete(key),
    transact: async (change) => await change(here()),
    below: (prefix) => within(real.below(prefix), current),
  }
}
