/** The paths that write a key down whole, and take it in again. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import { readBackup } from './backup-read.ts'
import { writeBackup } from './backup-write.ts'
import {
  checkedName,
  type KeyEntry,
  keyNamed,
  keyPath,
  nameField,
  oldestVersion,
  putKey,
  refuse,
  removeKey,
  versionPath,
} from './key.ts'
import { allVersions } from './versions.ts'

const nameFields = { name: nameField } as const satisfies Fields
const restoreFields = {
  name: { type: 'string', about: 'Name of the key; without it, the one it had.', default: '' },
  backup: { type: 'string', about: 'What backup gave.', default: '' },
  force: { type: 'boolean', about: 'Whether a key of that name is replaced.', default: false },
} as const satisfies Fields

export const backupPaths: readonly Path[] = [
  {
    pattern: 'backup/:name',
    readsOnly: true,
    about: 'A key with all its versions, as one text.',
    operations: { read: endpoint('Get the backup. It has the secrets in clear.', nameFields, backUp) },
  },
  ...['restore', 'restore/:name'].map((pattern) => ({
    pattern,
    about: 'A key from its backup.',
    operations: { update: endpoint('Restore a key.', restoreFields, restore) },
  })),
]

function fail(message: string): never {
  throw new ApiError('internal', oneError(message))
}

async function backUp({ mount, data }: Call<typeof nameFields>): Promise<Reply> {
  const key = (await keyNamed(mount.storage, data.name)) ?? fail(`key ${JSON.stringify(data.name)} not found`)
  if (!key.exportable) fail('exporting is disallowed on the policy')
  if (!key.allow_plaintext_backup) fail('plaintext backup is disallowed on the policy')
  const versions = await allVersions(mount, key, oldestVersion(key))
  return { data: { backup: await writeBackup({ name: data.name, key, versions }, mount.clock.now()) } }
}

async function restore({ mount, data }: Call<typeof restoreFields>): Promise<Reply> {
  if (data.backup === '') refuse("'backup' must be supplied")
  const { key, versions, name: written } = await readBackup(data.backup, mount.clock.now())
  const name = checkedName(data.name === '' ? written : data.name)
  const path = keyPath(name)
  await mount.storage.transact(async (transaction) => {
    const there = await transaction.get<KeyEntry>(path)
    if (there && !data.force) fail(`key ${JSON.stringify(name)} already exists`)
    if (there) removeKey(transaction, name, there)
    for (const [index, version] of versions.entries()) {
      transaction.put(versionPath(key.id, oldestVersion(key) + index), version)
    }
    putKey(transaction, name, key)
  })
  return {}
}
