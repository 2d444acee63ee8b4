/** Delete, restore and destroy versions of a secret by their numbers. */
import { type Call, type Path, type Reply, endpoint } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import { changeSecret } from './change.ts'
import { path, versionKey } from './paths.ts'
import { type Version, firstVersion, isDeleted, versionOf } from './secret.ts'

const fields = {
  path,
  versions: { type: 'integers', about: 'Numbers of the versions.' },
} as const satisfies Fields

type VersionsCall = Call<typeof fields>

export const versionPaths: readonly Path[] = [
  {
    pattern: 'delete/*path',
    about: 'Delete versions of a secret.',
    operations: { update: endpoint('Delete versions; they can be restored.', fields, deleteVersions) },
  },
  {
    pattern: 'undelete/*path',
    about: 'Restore deleted versions of a secret.',
    operations: { update: endpoint('Restore versions that were deleted.', fields, undeleteVersions) },
  },
  {
    pattern: 'destroy/*path',
    about: 'Destroy versions of a secret.',
    operations: { update: endpoint('Remove the data of versions for good.', fields, destroyVersions) },
  },
]

function deleteVersions(call: VersionsCall): Promise<Reply> {
  return changeVersions(call, 'delete', (version, nowMs) =>
    isDeleted(version, nowMs) ? version : [version[0], nowMs, 0],
  )
}

function undeleteVersions(call: VersionsCall): Promise<Reply> {
  return changeVersions(call, 'undelete', (version) => (version[1] === 0 ? version : [version[0], 0, 0]))
}

/** Changes those of the versions that are there and not destroyed. */
async function changeVersions(
  { mount, data }: VersionsCall,
  kind: 'delete' | 'undelete',
  change: (version: Version, nowMs: number) => Version,
): Promise<Reply> {
  const numbers = new Set(givenVersions(data.versions))
  await changeSecret(mount, data.path, (secret, nowMs) => {
    const first = firstVersion(secret)
    const versions = secret.versions.map((version, index) =>
      numbers.has(first + index) && version[2] === 0 ? change(version, nowMs) : version,
    )
    const before = secret.versions.flatMap((version, index): [number, number][] =>
      version === versions[index] ? [] : [[first + index, version[1]]],
    )
    return before.length > 0 ? { ...secret, versions, last: { kind, before } } : undefined
  })
  return {}
}

async function destroyVersions({ mount, data }: VersionsCall): Promise<Reply> {
  const numbers = new Set(givenVersions(data.versions))
  await changeSecret(mount, data.path, (secret, _nowMs, transaction) => {
    const doomed = [...numbers].filter((number) => versionOf(secret, number)?.[2] === 0)
    if (doomed.length === 0) return undefined
    const { data: current, ...rest } = secret
    const versions = [...secret.versions]
    for (const number of doomed) {
      const index = number - firstVersion(secret)
      versions[index] = [versions[index]![0], versions[index]![1], 1]
      if (number !== secret.current_version) transaction.delete(versionKey(data.path, number))
    }
    const keepsCurrent = current !== undefined && !doomed.includes(secret.current_version)
    return { ...rest, versions, last: { kind: 'destroy' }, ...(keepsCurrent && { data: current }) }
  })
  return {}
}

function givenVersions(versions: number[] | undefined): number[] {
  if (!versions || versions.length === 0) throw new ApiError('invalid_request', 'No version number provided')
  return versions
}
