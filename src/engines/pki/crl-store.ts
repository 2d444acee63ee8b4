/**
 * Revocations in their order, and the lists made of them. A list is the items up to some number of that order, so the next
 * one goes on where it ends; only when items were taken out (a new generation) is it made from the beginning.
 *
 * Storage below the mount, <crl> being the id of the first issuer with that name and key:
 *   revoked/<serial>           RevokedEntry
 *   crl-item/<crl>/<number>    ItemEntry, numbered in the order of revocation
 *   crl-state/<crl>            StateEntry
 *   crl/<crl>, delta/<crl>     ListEntry
 *   crl-part/<crl>/<list number>/<part>, delta-part/…   PartEntry
 */
import type { StorageReads, StorageTransaction } from '#sdk/storage.ts'

export interface RevokedEntry {
  revoked_at_ms: number
  crl_id: string
  item: number
  issuer_id: string
  not_after_ms: number
  /** Base64 of DER; missing where only the serial was known. */
  certificate?: string
}

export interface ItemEntry {
  serial: string
  at_ms: number
}

export interface StateEntry {
  /** Number of the last item. */
  items: number
  /** Number of the last list, complete or delta. */
  lists: number
  /** Counts how often items were taken out, or lists switched on or off. */
  generation: number
}

export interface ListEntry {
  number: number
  generation: number
  /** The last item in it. */
  through: number
  this_update_ms: number
  next_update_ms: number
  parts: number
  /** Where its items stand in the bytes. */
  items_from: number
  items_to: number
  /** Of a delta: number and last item of the complete list that it goes on from. */
  base?: { number: number; through: number }
}

interface PartEntry {
  /** Base64. */
  bytes: string
}

export type ListKind = 'crl' | 'delta'

/** Bytes of a list in one entry, which may hold 4 MB of JSON. */
const PART_BYTES = 2 * 1024 * 1024
/** A list that another one took the place of while it was read is read anew. */
const MAX_TRIES = 5

export const noState: StateEntry = { items: 0, lists: 0, generation: 0 }

export const itemKey = (crlId: string, number: number): string =>
  `crl-item/${crlId}/${String(number).padStart(12, '0')}`

/** @returns what is kept: the first revocation counts */
export async function putRevocation(
  transaction: StorageTransaction,
  serial: string,
  revocation: Omit<RevokedEntry, 'item'>,
): Promise<{ entry: RevokedEntry; fresh: boolean }> {
  const before = await transaction.get<RevokedEntry>(`revoked/${serial}`)
  if (before) return { entry: before, fresh: false }
  const { crl_id: crlId } = revocation
  const state = (await transaction.get<StateEntry>(`crl-state/${crlId}`)) ?? noState
  const entry: RevokedEntry = { ...revocation, item: state.items + 1 }
  transaction.put<RevokedEntry>(`revoked/${serial}`, entry)
  transaction.put<ItemEntry>(itemKey(crlId, entry.item), { serial, at_ms: entry.revoked_at_ms })
  transaction.put<StateEntry>(`crl-state/${crlId}`, { ...state, items: entry.item })
  return { entry, fresh: true }
}

export async function dropRevocation(transaction: StorageTransaction, serial: string): Promise<void> {
  const entry = await transaction.get<RevokedEntry>(`revoked/${serial}`)
  if (!entry) return
  transaction.delete(`revoked/${serial}`)
  transaction.delete(itemKey(entry.crl_id, entry.item))
  await newGeneration(transaction, entry.crl_id)
}

export async function newGeneration(transaction: StorageTransaction, crlId: string): Promise<void> {
  const state = (await transaction.get<StateEntry>(`crl-state/${crlId}`)) ?? noState
  transaction.put<StateEntry>(`crl-state/${crlId}`, { ...state, generation: state.generation + 1 })
}

/** Later lists stay: two may have been made at once. */
export async function putList(
  transaction: StorageTransaction,
  kind: ListKind,
  crlId: string,
  list: Omit<ListEntry, 'parts'>,
  der: Buffer,
): Promise<void> {
  const before = await transaction.get<ListEntry>(`${kind}/${crlId}`)
  if (before && before.number >= list.number) return
  for (let part = 0; before && part < before.parts; part += 1) {
    transaction.delete(`${kind}-part/${crlId}/${before.number}/${part}`)
  }
  const parts = Math.ceil(der.length / PART_BYTES)
  for (let part = 0; part < parts; part += 1) {
    const bytes = der.subarray(part * PART_BYTES, (part + 1) * PART_BYTES).toString('base64')
    transaction.put<PartEntry>(`${kind}-part/${crlId}/${list.number}/${part}`, { bytes })
  }
  transaction.put<ListEntry>(`${kind}/${crlId}`, { ...list, parts })
}

export interface StoredList {
  entry: Readonly<ListEntry>
  der: Buffer
}

const small = new WeakMap<Readonly<ListEntry>, Buffer>()

/** One of a single part is kept as long as its shared entry stays: clients fetch it all the time. */
export async function listOf(
  storage: Pick<StorageReads, 'get' | 'getShared'>,
  kind: ListKind,
  crlId: string,
): Promise<StoredList | undefined> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const entry = await storage.getShared<ListEntry>(`${kind}/${crlId}`)
    if (!entry) return undefined
    const kept = small.get(entry)
    if (kept) return { entry, der: kept }
    const numbers = Array.from({ length: entry.parts }, (_, part) => part)
    const parts = await Promise.all(
      numbers.map((part) => storage.get<PartEntry>(`${kind}-part/${crlId}/${entry.number}/${part}`)),
    )
    if (parts.includes(undefined)) continue
    const der = Buffer.concat(parts.map((part) => Buffer.from(part!.bytes, 'base64')))
    if (entry.parts === 1) small.set(entry, der)
    return { entry, der }
  }
  return undefined
}

export async function dropLists(transaction: StorageTransaction, crlId: string): Promise<void> {
  for (const kind of ['crl', 'delta'] as const) {
    const before = await transaction.get<ListEntry>(`${kind}/${crlId}`)
    if (!before) continue
    for (let part = 0; part < before.parts; part += 1)
      transaction.delete(`${kind}-part/${crlId}/${before.number}/${part}`)
    transaction.delete(`${kind}/${crlId}`)
  }
}
