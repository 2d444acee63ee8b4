/**
 * Finding secrets: by words in their names and notes (never in their values), and by when they expire. One request looks at so
 * many names and no more; where there are more it says how to go on. Only what the caller may see is found.
 */
import { setImmediate } from 'node:timers/promises'
import { type Call, type Path, type Reply, type Rights, endpoint } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { folder } from '#sdk/listing.ts'
import type { Fields } from '#sdk/schema.ts'
import type { Storage } from '#sdk/storage.ts'
import { openCursor, sealCursor } from './cursor.ts'
import { describeOwnership } from './expiry.ts'
import { EXPIRES, NOTES, type Notes, parseExpiryKey } from './notes.ts'
import { folderPath, listingPrefix } from './paths.ts'

const pageFields = {
  after: { type: 'string', about: 'Where to go on: `next` of the page before.', query: true },
  limit: { type: 'integer', about: 'At most so many, and no more than 1000; without it 100.', query: true },
} as const satisfies Fields

const searchFields = {
  path: folderPath,
  query: {
    type: 'string',
    about: 'Words that all have to be in the path, the owner or the custom metadata, whatever their case.',
    default: '',
    query: true,
  },
  owner: { type: 'string', about: 'Only secrets of this owner.', default: '', query: true },
  ...pageFields,
} as const satisfies Fields

const expiringFields = {
  within: { type: 'duration', about: 'How far to look ahead; without it 30 days.', default: 30 * 86_400, query: true },
  ...pageFields,
} as const satisfies Fields

const USUAL_LIMIT = 100
const MAX_LIMIT = 1000
const MAX_QUERY_BYTES = 512
/** Looked at by one request: names, or notes that have to be opened for it, which cost as much as forty names. About 10 ms. */
const MAX_EFFORT = 20_000
const NOTE_EFFORT = 40
/** Names, and notes, between two pauses for other requests: about a millisecond. */
const WINDOW = 500
const NOTES_AT_ONCE = 50

export const searchPath: Path = {
  pattern: 'search/*path',
  readsOnly: true,
  asksRights: true,
  about: 'Find secrets by words in their names and metadata.',
  operations: { list: endpoint('Secrets that have these words, in the order of their paths.', searchFields, search) },
}

export const expiringPath: Path = {
  pattern: 'expiring',
  readsOnly: true,
  asksRights: true,
  about: 'Secrets that expire soon, or have expired.',
  operations: { list: endpoint('Secrets in the order in which they expire.', expiringFields, expiring) },
}

function limitOf(asked: number | undefined): number {
  return asked !== undefined && asked > 0 ? Math.min(asked, MAX_LIMIT) : USUAL_LIMIT
}

/** What is found, and the place to go on at; none: that was all. */
interface Found {
  keys: string[]
  info: [string, unknown][]
  next: string | undefined
}

async function search({ mount, data, rights }: Call<typeof searchFields>): Promise<Reply> {
  const wanted = wantedOf(data.query, data.owner)
  const prefix = listingPrefix(folder(data.path))
  const purpose = JSON.stringify(['search', data.path, data.query, data.owner])
  const found: Found = { keys: [], info: [], next: undefined }
  const limit = limitOf(data.limit)
  let after = data.after ? await openCursor(mount.storage, purpose, data.after) : undefined
  let effort = 0
  for (;;) {
    const names = await mount.storage.keys(prefix, { after: after && `secret/${after}`, limit: WINDOW })
    const paths = names.map((name) => name.slice('secret/'.length))
    const notes = await notesOf(mount.storage, prefix.slice('secret/'.length), after, paths.at(-1))
    effort += names.length + notes.size * NOTE_EFFORT
    for (const path of paths) {
      after = path
      add(found, path, matching(path, notes.get(path), wanted, rights))
      if (found.keys.length === limit) break
    }
    const all = names.length < WINDOW && found.keys.length < limit
    if (all) return replyOf(found)
    if (found.keys.length === limit || effort >= MAX_EFFORT) {
      return replyOf({ ...found, next: await sealCursor(mount.storage, purpose, after!) })
    }
    await setImmediate()
  }
}

interface Wanted {
  words: string[]
  owner: string
}

function wantedOf(query: string, owner: string): Wanted {
  if (Buffer.byteLength(query) > MAX_QUERY_BYTES) {
    throw new ApiError('invalid_request', `query has at most ${MAX_QUERY_BYTES} bytes`)
  }
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
  if (words.length === 0 && owner === '') throw new ApiError('invalid_request', 'query or owner must be given')
  return { words, owner }
}

/** Notes of the secrets from `after` (exclusive) to `last` (inclusive). */
async function notesOf(
  storage: Storage,
  below: string,
  after: string | undefined,
  last: string | undefined,
): Promise<Map<string, Notes>> {
  const notes = new Map<string, Notes>()
  if (last === undefined) return notes
  const end = Buffer.from(last)
  const keys = await storage.keys(NOTES + below, { after: after && NOTES + after, limit: WINDOW })
  for (const key of keys) {
    const path = key.slice(NOTES.length)
    // Both are in the order of their bytes, which is not that of JavaScript.
    if (Buffer.compare(Buffer.from(path), end) > 0) break
    const entry = await storage.get<Notes>(key)
    if (entry) notes.set(path, entry)
    if (notes.size % NOTES_AT_ONCE === 0) await setImmediate()
  }
  return notes
}

type Match = { notes: Notes | undefined } | undefined

/** Undefined: it does not match, or not by what this caller may see of it. */
function matching(path: string, notes: Notes | undefined, wanted: Wanted, rights: Rights | undefined): Match {
  if (!matches(path, notes, wanted)) return undefined
  if (!rights) return undefined
  if (rights.may('read', `metadata/${path}`)) return { notes }
  // The notes are none of this caller's business: neither are they shown, nor does it show that they match.
  if (!matches(path, undefined, wanted)) return undefined
  const slash = path.lastIndexOf('/') + 1
  return rights.sees(`metadata/${path.slice(0, slash)}`, path.slice(slash)) ? { notes: undefined } : undefined
}

function matches(path: string, notes: Notes | undefined, { words, owner }: Wanted): boolean {
  if (owner !== '' && notes?.owner !== owner) return false
  if (words.length === 0) return true
  const pairs = Object.entries(notes?.custom_metadata ?? {}).flat()
  const text = (notes ? [path, notes.owner, ...pairs].join('\n') : path).toLowerCase()
  return words.every((word) => text.includes(word))
}

function add(found: Found, path: string, match: Match): void {
  if (!match) return
  found.keys.push(path)
  if (!match.notes) return
  const { custom_metadata } = match.notes
  found.info.push([path, { ...describeOwnership(match.notes), ...(custom_metadata && { custom_metadata }) }])
}

async function expiring({ mount, data, rights }: Call<typeof expiringFields>): Promise<Reply> {
  const untilMs = mount.clock.now().getTime() + data.within * 1000
  const found: Found = { keys: [], info: [], next: undefined }
  const limit = limitOf(data.limit)
  let after = data.after ? await openCursor(mount.storage, 'expiring', data.after) : undefined
  let effort = 0
  for (;;) {
    const keys = await mount.storage.keys(EXPIRES, { after, limit: WINDOW })
    let beyond = keys.length < WINDOW
    for (const key of keys) {
      const { expiresMs, path } = parseExpiryKey(key)
      if (expiresMs > untilMs) {
        beyond = true
        break
      }
      after = key
      effort += 1
      if (!rights?.may('read', `metadata/${path}`)) continue
      effort += NOTE_EFFORT
      add(found, path, { notes: await mount.storage.get<Notes>(NOTES + path) })
      if (found.keys.length === limit) break
    }
    if (beyond && found.keys.length < limit) return replyOf(found)
    if (found.keys.length === limit || effort >= MAX_EFFORT) {
      return replyOf({ ...found, next: await sealCursor(mount.storage, 'expiring', after!) })
    }
    await setImmediate()
  }
}

/** An empty page that is not the last is no empty listing: it says how to go on. */
function replyOf({ keys, info, next }: Found): Reply {
  if (keys.length === 0 && next === undefined) return {}
  const data = { keys, key_info: Object.fromEntries(info), ...(next !== undefined && { next }) }
  return { data, status: 200 }
}
