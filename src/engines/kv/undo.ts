/**
 * Undo of the last change of a secret, whichever it was: one transaction, like the change itself. A write is undone by writing the
 * version before it again, as a new one: no number is given twice, and who asked with check-and-set meanwhile is told.
 */
import { type Call, type Path, type Reply, type Rights, endpoint } from '#sdk/engine.ts'
import { ApiError, found, oneError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import type { StorageTransaction } from '#sdk/storage.ts'
import { addVersion, castVersion, checkReplaced } from './data.ts'
import { checkMetadataReplaced } from './metadata.ts'
import { followNotes } from './notes.ts'
import { path, secretKey, versionKey } from './paths.ts'
import {
  type Change,
  type SecretEntry,
  type Stored,
  type Version,
  type VersionEntry,
  asSecret,
  firstVersion,
  isDeleted,
  packed,
  versionInfo,
  versionOf,
} from './secret.ts'
import { type Settings, SETTINGS_KEY, noSettings } from './settings.ts'

const fields = {
  path,
  options: {
    type: 'map',
    about: 'Options of the undo: cas, the version that has to be the current one; metadata_cas, that of the metadata.',
  },
} as const satisfies Fields

export const undoPath: Path = {
  pattern: 'undo/*path',
  asksRights: true,
  about: 'The last change of a secret.',
  operations: {
    update: endpoint('Take back the last write, deletion, restoration or change of metadata.', fields, undo),
  },
}

interface Undoing {
  transaction: StorageTransaction
  secretPath: string
  secret: SecretEntry
  nowMs: number
  rights: Rights | undefined
}

const undone: Change = { kind: 'undo' }

/** @throws ApiError `invalid_request` where there is nothing to take back, or what it would need is gone */
async function undo({ mount, data, rights }: Call<typeof fields>): Promise<Reply> {
  return mount.storage.transact(async (transaction) => {
    const settings = (await transaction.get<Settings>(SETTINGS_KEY)) ?? noSettings
    const secret = asSecret(found(await transaction.get<Stored>(secretKey(data.path))))
    checkReplaced(secret, settings, data.options)
    const nowMs = mount.clock.now().getTime()
    const undoing: Undoing = { transaction, secretPath: data.path, secret, nowMs, rights }
    const { last } = secret
    switch (last?.kind) {
      case undefined:
        return await undoWrite(undoing, settings)
      case 'delete':
      case 'undelete':
        return undoDeletion(undoing, last)
      case 'metadata':
        checkMetadataReplaced(secret, settings, metadataCas(data.options))
        return undoMetadata(undoing, last)
      case 'destroy':
        throw refused('the last change destroyed versions, which cannot be undone')
      case 'undo':
        throw refused('the last change was undone already')
    }
  })
}

function metadataCas(options: Record<string, unknown> | undefined): number | undefined {
  return options && Object.hasOwn(options, 'metadata_cas') ? castVersion(options['metadata_cas']) : undefined
}

async function undoWrite(undoing: Undoing, settings: Settings): Promise<Reply> {
  const { transaction, secretPath, secret, nowMs } = undoing
  const number = secret.current_version
  if (number === 0) throw refused('there is no change to undo')
  const previous = versionOf(secret, number - 1)
  if (number > 1 && !previous) throw refused('the version before the last is no longer kept')
  if (!previous || previous[2] === 1 || isDeleted(previous, nowMs)) return deleteLast(undoing)
  demand(undoing, [['update', 'data']])
  const { data: value } = found(await transaction.get<VersionEntry>(versionKey(secretPath, number - 1)))
  const reply = addVersion(transaction, { secretPath, secret, settings, value, nowMs, last: undone })
  return { ...reply, data: { ...reply.data, undone: 'write' } }
}

/** There was nothing to be read before the write; it can still be restored. */
function deleteLast(undoing: Undoing): Reply {
  const { secret, nowMs } = undoing
  demand(undoing, deleting)
  const last = secret.versions.at(-1)!
  const deleted: Version = [last[0], isDeleted(last, nowMs) ? last[1] : nowMs, 0]
  return put(undoing, { ...secret, versions: [...secret.versions.slice(0, -1), deleted] }, 'write')
}

/** Versions that were destroyed or dropped since would have left another last change. */
function undoDeletion(undoing: Undoing, { kind, before }: Extract<Change, { before: [number, number][] }>): Reply {
  const { secret } = undoing
  demand(undoing, kind === 'delete' ? [['update', 'undelete']] : deleting)
  const old = new Map(before)
  const first = firstVersion(secret)
  const versions = secret.versions.map((version, index): Version => {
    const deletionMs = old.get(first + index)
    return deletionMs === undefined ? version : [version[0], deletionMs, version[2]]
  })
  return put(undoing, { ...secret, versions }, kind)
}

function undoMetadata(undoing: Undoing, { before }: Extract<Change, { kind: 'metadata' }>): Reply {
  const { transaction, secretPath, secret, nowMs } = undoing
  demand(undoing, [['update', 'metadata']])
  if (before) {
    const metadata_version = secret.metadata_version + 1
    return put(undoing, { ...secret, ...before, metadata_version, updated_ms: nowMs }, 'metadata')
  }
  // It was made by that change and has no versions: a write since would have been the last change.
  transaction.delete(secretKey(secretPath))
  followNotes(transaction, secretPath, secret, undefined)
  return { data: { undone: 'metadata' } }
}

function put({ transaction, secretPath, secret }: Undoing, next: SecretEntry, what: string): Reply {
  transaction.put(secretKey(secretPath), packed({ ...next, last: undone }))
  followNotes(transaction, secretPath, secret, next)
  const info = next.current_version > 0 ? versionInfo(next, next.current_version) : {}
  return { data: { ...info, undone: what } }
}

/** An operation, and the group of paths on which it makes the same change. */
type Way = readonly ['update' | 'delete', 'data' | 'delete' | 'undelete' | 'metadata']

const deleting: readonly Way[] = [
  ['delete', 'data'],
  ['update', 'delete'],
]

/** Undo is no way around the paths that guard a change: its caller may make it by one of them as well. */
function demand({ rights, secretPath }: Undoing, ways: readonly Way[]): void {
  if (ways.some(([operation, group]) => rights?.may(operation, `${group}/${secretPath}`))) return
  const reason = `undo would change what the policies do not allow: ${ways.map(([, group]) => group).join(', ')}`
  throw new ApiError('permission_denied', oneError('permission denied'), { reason })
}

function refused(message: string): ApiError {
  return new ApiError('invalid_request', message)
}
