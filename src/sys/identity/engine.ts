/** `identity/`: entities and their aliases. */
import type { EntityEntry, Identity } from '#core/identity/identity.ts'
import { type Call, type Engine, endpoint, type Reply } from '#sdk/engine.ts'
import { found } from '#sdk/errors.ts'
import { pageFields } from '#sdk/listing.ts'
import type { Data, Fields } from '#sdk/schema.ts'

const id = { type: 'string', about: 'Id of the entity.', required: true } as const
const name = { type: 'string', about: 'Name of the entity.', required: true } as const
const changes = {
  metadata: { type: 'pairs', about: 'Anything to know about it; policies may refer to it.' },
  policies: { type: 'strings', about: 'Policies that all its tokens have besides their own.' },
  disabled: { type: 'boolean', about: 'Its tokens are good for nothing while this is set.' },
} satisfies Fields
const writeFields = {
  id: { type: 'string', about: 'Id of the entity to change.' },
  name: { type: 'string', about: 'Name of the entity.' },
  ...changes,
} satisfies Fields
const lookupFields = {
  id: { type: 'string', about: 'Id of the entity.' },
  name: { type: 'string', about: 'Name of the entity.' },
  alias_id: { type: 'string', about: 'Id of one of its aliases.' },
} satisfies Fields

export function identityEngine(identity: Identity): Engine {
  return {
    name: 'identity',
    about: 'Who is behind the log-ins: entities and their aliases.',
    paths: () => [
      {
        pattern: 'entity',
        operations: {
          update: endpoint('Make or change an entity.', writeFields, (call) => write(identity, call.data, call.data)),
        },
      },
      {
        pattern: 'entity/id',
        operations: { list: endpoint('Ids of entities.', pageFields, (call) => listEntities(identity, call)) },
      },
      {
        pattern: 'entity/id/:id',
        operations: {
          read: endpoint('An entity.', { id }, async ({ data }) => show(await identity.get(data.id))),
          update: endpoint('Change an entity.', { ...changes, id, name: writeFields.name }, ({ data }) =>
            write(identity, { id: data.id }, data),
          ),
          delete: endpoint('Delete an entity.', { id }, async ({ data }) => remove(identity, data.id)),
        },
      },
      {
        pattern: 'entity/name',
        operations: {
          list: endpoint('Names of entities.', pageFields, async ({ data }) => ({
            data: { keys: await identity.names(data) },
          })),
        },
      },
      {
        pattern: 'entity/name/:name',
        operations: {
          read: endpoint('An entity.', { name }, async ({ data }) => show(await identity.byName(data.name))),
          update: endpoint('Make or change an entity.', { ...changes, name }, ({ data }) =>
            write(identity, { name: data.name }, data),
          ),
          delete: endpoint('Delete an entity.', { name }, async ({ data }) =>
            remove(identity, (await identity.byName(data.name))?.id),
          ),
        },
      },
      {
        pattern: 'entity-alias/id',
        operations: { list: endpoint('Ids of aliases.', pageFields, (call) => listAliases(identity, call)) },
      },
      {
        pattern: 'entity-alias/id/:id',
        operations: {
          read: endpoint('An alias.', { id: { ...id, about: 'Id of the alias.' } }, (call) =>
            showAlias(identity, call),
          ),
        },
      },
      {
        pattern: 'lookup/entity',
        operations: { update: endpoint('Find an entity.', lookupFields, (call) => lookup(identity, call)) },
      },
    ],
  }
}

type Change = Partial<Data<typeof changes>> & { name?: string | undefined }

async function write(
  identity: Identity,
  which: { id?: string | undefined; name?: string | undefined },
  change: Change,
): Promise<Reply> {
  const { metadata, policies, disabled } = change
  // An empty text is a name that was not given.
  const [id_, name_, newName] = [which.id, which.name, change.name].map((text) => text || undefined)
  const { entity, made } = await identity.write(
    { id: id_, name: name_ },
    { name: newName, metadata, policies, disabled },
  )
  return made ? { data: { aliases: null, id: entity.id, name: entity.name } } : {}
}

async function remove(identity: Identity, which: string | undefined): Promise<Reply> {
  if (which !== undefined) await identity.delete(which)
  return {}
}

async function lookup(identity: Identity, { data }: Call<typeof lookupFields>): Promise<Reply> {
  if (data.id) return show(await identity.get(data.id), true)
  if (data.name) return show(await identity.byName(data.name), true)
  return show(data.alias_id ? await identity.byAlias(data.alias_id) : undefined, true)
}

/** @param quiet  a look-up that finds nothing is answered with nothing, not as missing */
function show(entity: Readonly<EntityEntry> | undefined, quiet = false): Reply {
  if (!entity && quiet) return {}
  const { aliases, metadata, ...rest } = found(entity)
  const shown = aliases.map((alias) => describeAlias(rest.id, alias))
  return {
    data: {
      ...rest,
      metadata: pairsOrNull(metadata),
      aliases: shown,
      direct_group_ids: [],
      group_ids: [],
      inherited_group_ids: [],
      merged_entity_ids: null,
      namespace_id: 'root',
    },
  }
}

function describeAlias(canonicalId: string, alias: EntityEntry['aliases'][number]): Record<string, unknown> {
  return {
    ...alias,
    metadata: pairsOrNull(alias.metadata),
    canonical_id: canonicalId,
    custom_metadata: {},
    local: false,
    merged_from_canonical_ids: null,
  }
}

/** The Vault API tells no pairs as null. */
function pairsOrNull(pairs: Readonly<Record<string, string>>): Readonly<Record<string, string>> | null {
  return Object.keys(pairs).length > 0 ? pairs : null
}

async function showAlias(identity: Identity, { data }: Call<{ id: typeof id }>): Promise<Reply> {
  const entity = found(await identity.byAlias(data.id))
  const alias = found(entity.aliases.find((each) => each.id === data.id))
  return { data: { ...describeAlias(entity.id, alias), namespace_id: 'root' } }
}

async function listEntities(identity: Identity, { data }: Call<typeof pageFields>): Promise<Reply> {
  const keys = await identity.ids(data)
  const info: Record<string, unknown> = {}
  for (const key of keys) {
    const entity = await identity.get(key)
    if (entity)
      info[key] = { name: entity.name, ...(entity.aliases.length > 0 && { aliases: entity.aliases.map(briefAlias) }) }
  }
  return { data: { key_info: info, keys } }
}

function briefAlias({
  id: aliasId,
  name: aliasName,
  mount_accessor,
  mount_path,
  mount_type,
}: EntityEntry['aliases'][number]) {
  return { id: aliasId, name: aliasName, mount_accessor, mount_path, mount_type }
}

async function listAliases(identity: Identity, { data }: Call<typeof pageFields>): Promise<Reply> {
  const keys = await identity.aliasIds(data)
  const info: Record<string, unknown> = {}
  for (const key of keys) {
    const entity = await identity.byAlias(key)
    const alias = entity?.aliases.find((each) => each.id === key)
    if (entity && alias)
      info[key] = {
        ...briefAlias(alias),
        metadata: pairsOrNull(alias.metadata),
        canonical_id: entity.id,
        custom_metadata: {},
        local: false,
      }
  }
  return { data: { key_info: info, keys } }
}
