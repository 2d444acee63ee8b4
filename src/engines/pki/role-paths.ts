/** `roles`: make, read, change, list and delete roles. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError, oneError } from '#sdk/errors.ts'
import { listNames, pageFields } from '#sdk/listing.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { lookUp } from './issuer-store.ts'
import { refuse } from './key-store.ts'
import { isRoleName, roleEntry, type RoleEntry, roleFields, roleName } from './role.ts'

const named = { name: roleName } as const satisfies Fields

export const rolePaths: readonly Path[] = [
  {
    pattern: 'roles',
    readsOnly: true,
    operations: {
      list: endpoint('List roles.', pageFields, async ({ mount, data }) => ({
        data: { keys: await listNames(mount.storage, 'role/', data) },
      })),
    },
  },
  {
    pattern: 'roles/:name',
    readsOnly: true,
    operations: {
      read: endpoint('Read a role.', named, readRole),
      update: endpoint('Make a role, or replace it.', roleFields, ({ mount, data }) => write(mount, data)),
      patch: endpoint('Change some fields of a role.', roleFields, patchRole),
      delete: endpoint('Delete a role.', named, deleteRole),
    },
  },
]

async function readRole({ mount, data }: Call<typeof named>): Promise<Reply> {
  const role = await mount.storage.get<RoleEntry>(roleKey(data.name))
  return role ? { data: { ...role } } : {}
}

async function patchRole({ mount, data, body }: Call<typeof roleFields>): Promise<Reply> {
  const before = await mount.storage.get<RoleEntry>(roleKey(data.name))
  if (!before) return refuse('Unable to fetch role entry to patch')
  const given = Object.fromEntries(Object.entries(data).filter(([field]) => Object.hasOwn(body, field)))
  const { allow_token_displayname: _, ...rest } = before
  return await write(mount, { ...rest, backend: undefined, ...given, name: data.name } as Data<typeof roleFields>)
}

async function write(mount: Call['mount'], data: Data<typeof roleFields>): Promise<Reply> {
  const key = roleKey(data.name)
  const entry = roleEntry(data)
  const warnings: string[] = []
  if (entry.generate_lease) {
    warnings.push(
      `it is encouraged to disable generate_lease and rely on PKI's native capabilities when possible; this option can cause instance-wide issues with large numbers of issued certificates`,
    )
  }
  if (!(await lookUp(mount.storage, entry.issuer_ref))) {
    if (entry.issuer_ref !== 'default') refuse(`unable to find PKI issuer for reference: ${entry.issuer_ref}`)
    warnings.push(
      'Issuing Certificate was set to default, but no default issuing certificate (configurable at /config/issuers) is currently set',
    )
  }
  await mount.storage.put<RoleEntry>(key, entry)
  return { data: { ...entry }, ...(warnings.length > 0 && { warnings }) }
}

async function deleteRole({ mount, data }: Call<typeof named>): Promise<Reply> {
  await mount.storage.delete(roleKey(data.name))
  return {}
}

/** @throws ApiError for what can be no role's name, as for any address that is none */
export function roleKey(name: string): string {
  if (!isRoleName(name)) throw new ApiError('not_found', oneError('unsupported path'))
  return `role/${name}`
}
