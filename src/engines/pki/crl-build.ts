/**
 * Making revocation lists: beside the requests, some items at a time, and signed on the thread pool. One list of an issuer is
 * in the making at a time; who asks meanwhile waits for the next, so that a thousand revocations at once make a few lists.
 */
import { setImmediate, setTimeout } from 'node:timers/promises'
import { signingWith } from '#lib/x509/algorithms.ts'
import { crlItem, makeCrl } from '#lib/x509/crl.ts'
import { authorityKeyId, crlNumber, deltaIndicator } from '#lib/x509/extensions.ts'
import type { Mount } from '#sdk/engine.ts'
import { crlSettings, secondsOf } from './crl-settings.ts'
import {
  type ItemEntry,
  itemKey,
  type ListEntry,
  type ListKind,
  listOf,
  noState,
  putList,
  type StateEntry,
} from './crl-store.ts'
import { sharedIssuers, type Signer, signerFor } from './issuer-store.ts'
import { issuerKeyId } from './leaf.ts'

/** Read and encoded in one go, some milliseconds' worth; then others have their turn. */
const PAGE = 200
/** Below so many items who waits for a list waits some milliseconds only. */
const QUICK_ITEMS = 5000
/** A delta with more is no help any more: the complete list is made anew. */
const MAX_DELTA_ITEMS = 50_000
/** How long a list waits for revocations that come just after the one it is made for. */
const GATHER_MS = 10

/** What is in the making: the list that runs, and the one that everybody waits for who came while it ran. */
const running = new Map<string, { now: Promise<void>; next: Promise<void> | undefined }>()

/** Resolves when a list that knows of everything revoked by now is stored. */
export async function rebuild(mount: Mount, kind: ListKind, crlId: string): Promise<void> {
  const name = `${mount.uuid}/${kind}/${crlId}`
  const busy = running.get(name)
  if (busy) return await (busy.next ??= busy.now.catch(() => {}).then(() => rebuild(mount, kind, crlId)))
  const now = setTimeout(GATHER_MS)
    .then(() => build(mount, kind, crlId))
    .finally(() => running.delete(name))
  running.set(name, { now, next: undefined })
  await now
}

/**
 * After a change: a short list is there when this resolves, a long one is made behind the answer. If that fails, whoever asks
 * for the list next has it made.
 */
export async function refresh(mount: Mount, crlId: string): Promise<void> {
  if ((await crlSettings(mount.storage)).auto_rebuild) return
  const made = rebuild(mount, 'crl', crlId)
  if (await isQuick(mount, crlId)) return await made
  made.catch(() => {})
}

async function isQuick({ storage }: Mount, crlId: string): Promise<boolean> {
  return ((await storage.getShared<StateEntry>(`crl-state/${crlId}`))?.items ?? 0) <= QUICK_ITEMS
}

/** The list as it should be now: one that is missing, over or behind is made anew first, or behind the answer if it is long. */
export async function freshList(mount: Mount, kind: ListKind, crlId: string): Promise<Buffer | undefined> {
  const { storage } = mount
  const list = await listOf(storage, kind, crlId)
  if (list && !(await isBehind(mount, list.entry, crlId))) return list.der
  if (kind === 'delta' && !(await crlSettings(storage)).enable_delta) return list?.der
  const made = rebuild(mount, kind, crlId)
  if (list && !(await isQuick(mount, crlId))) {
    made.catch(() => {})
    return list.der
  }
  await made
  return (await listOf(storage, kind, crlId))?.der
}

async function isBehind({ storage, clock }: Mount, list: Readonly<ListEntry>, crlId: string): Promise<boolean> {
  if (list.next_update_ms <= clock.now().getTime()) return true
  if (list.base || (await crlSettings(storage)).auto_rebuild) return false
  const state = await storage.getShared<StateEntry>(`crl-state/${crlId}`)
  return state !== undefined && (list.through < state.items || list.generation !== state.generation)
}

async function build(mount: Mount, kind: ListKind, crlId: string): Promise<void> {
  const { storage, clock } = mount
  const signer = await signerOf(mount, crlId)
  if (!signer) return
  const settings = await crlSettings(storage)
  const { state, number } = await nextNumber(mount, crlId)
  const base = kind === 'delta' ? (await listOf(storage, 'crl', crlId))?.entry : undefined
  if (kind === 'delta' && !base) return
  const items = settings.disable
    ? Buffer.alloc(0)
    : base
      ? await newItems(mount, crlId, base.through, state.items)
      : await allItems(mount, crlId, state)
  const thisUpdate = new Date(Math.floor(clock.now().getTime() / 1000) * 1000)
  const nextUpdate = new Date(thisUpdate.getTime() + secondsOf(settings.expiry) * 1000)
  const signing = signingWith(signer.key, ...signatureOf(signer))
  const extensions = [authorityKeyId(issuerKeyId(signer)), crlNumber(number)]
  if (base) extensions.push(deltaIndicator(base.number))
  const issuer = signer.certificate.subject
  const { der, itemsFrom, itemsTo } = await makeCrl({ issuer, thisUpdate, nextUpdate, items, extensions }, signing)
  const list = {
    number,
    generation: state.generation,
    through: state.items,
    this_update_ms: thisUpdate.getTime(),
    next_update_ms: nextUpdate.getTime(),
    items_from: itemsFrom,
    items_to: itemsTo,
    ...(base && { base: { number: base.number, through: base.through } }),
  }
  await storage.transact((transaction) => putList(transaction, kind, crlId, list, der))
}

/** Whoever of the issuers with that name and key has the key here and may sign lists. */
async function signerOf(mount: Mount, crlId: string): Promise<Signer | undefined> {
  const all = await sharedIssuers(mount.storage)
  const able = all.find((each) => each.crl_id === crlId && each.key_id !== '' && each.usage.includes('crl-signing'))
  return able && (await signerFor(mount, able.id, 'crl-signing'))
}

function signatureOf({ entry }: Signer): [number, boolean] {
  const algorithm = entry.revocation_signature_algorithm.toUpperCase()
  return [Number(/SHA(256|384|512)/.exec(algorithm)?.[1] ?? 0), algorithm.includes('PSS')]
}

/** Numbers are given out when a list is begun, so that a later one always has the higher (RFC 5280 §5.2.3). */
async function nextNumber({ storage }: Mount, crlId: string): Promise<{ state: StateEntry; number: number }> {
  return await storage.transact(async (transaction) => {
    const state = (await transaction.get<StateEntry>(`crl-state/${crlId}`)) ?? noState
    const number = state.lists + 1
    transaction.put<StateEntry>(`crl-state/${crlId}`, { ...state, lists: number })
    return { state, number }
  })
}

async function allItems(mount: Mount, crlId: string, state: StateEntry): Promise<Buffer> {
  const before = await listOf(mount.storage, 'crl', crlId)
  if (!before || before.entry.generation !== state.generation) return await newItems(mount, crlId, 0, state.items)
  const kept = before.der.subarray(before.entry.items_from, before.entry.items_to)
  return Buffer.concat([kept, await newItems(mount, crlId, before.entry.through, state.items)])
}

/** Items after one number, up to another, encoded. */
async function newItems({ storage }: Mount, crlId: string, after: number, through: number): Promise<Buffer> {
  const encoded: Buffer[] = []
  const last = itemKey(crlId, through)
  let from = itemKey(crlId, after)
  for (;;) {
    const keys = await storage.keys(`crl-item/${crlId}/`, { after: from, limit: PAGE })
    const items = await Promise.all(keys.filter((key) => key <= last).map((key) => storage.get<ItemEntry>(key)))
    for (const item of items) if (item) encoded.push(crlItem(item.serial, new Date(item.at_ms)))
    if (items.length < PAGE) return Buffer.concat(encoded)
    from = keys.at(-1)!
    await setImmediate()
  }
}

/**
 * Once a minute: lists that are over soon, deltas that are due, and what a crash left behind.
 */
export async function tendLists(mount: Mount): Promise<void> {
  const { storage, clock } = mount
  const settings = await crlSettings(storage)
  const nowMs = clock.now().getTime()
  for (const crlId of new Set((await sharedIssuers(storage)).map((each) => each.crl_id))) {
    const list = (await listOf(storage, 'crl', crlId))?.entry
    const state = (await storage.get<StateEntry>(`crl-state/${crlId}`)) ?? noState
    const endsSoon = !list || list.next_update_ms - secondsOf(settings.auto_rebuild_grace_period) * 1000 <= nowMs
    const behind = !list || list.through < state.items || list.generation !== state.generation
    if (endsSoon || (behind && !settings.auto_rebuild)) await rebuild(mount, 'crl', crlId)
    else if (settings.enable_delta && list.through < state.items) {
      await tendDelta(mount, crlId, list, state, nowMs - secondsOf(settings.delta_rebuild_interval) * 1000)
    }
  }
}

async function tendDelta(
  mount: Mount,
  crlId: string,
  list: Readonly<ListEntry>,
  state: StateEntry,
  dueIfBeforeMs: number,
): Promise<void> {
  if (state.items - list.through > MAX_DELTA_ITEMS) return await rebuild(mount, 'crl', crlId)
  const delta = (await listOf(mount.storage, 'delta', crlId))?.entry
  const last = delta?.this_update_ms ?? list.this_update_ms
  if (last <= dueIfBeforeMs) await rebuild(mount, 'delta', crlId)
}
