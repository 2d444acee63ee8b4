/**
 * Identity: the one person or machine behind all its log-ins. The first log-in with a name makes an entity for it.
 *
 * Stored below the prefix given:
 *   entity/<id>                          EntityEntry
 *   name/<name, lower case>              { id }
 *   alias/<mount accessor>/<hash>        { entity, alias }: hash of the name by which an auth method knows it
 *   alias-id/<alias id>                  { entity }
 */
import { hash, randomBytes, randomUUID } from 'node:crypto'
import { identityExpander, type TemplateSubject } from '#core/policies/template.ts'
import { rfc3339 } from '#lib/time.ts'
import type { Clock } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { countNames, listNames } from '#sdk/listing.ts'
import type { Page, Storage, StorageTransaction } from '#sdk/storage.ts'

export interface AliasEntry {
  id: string
  name: string
  mount_accessor: string
  mount_type: string
  mount_path: string
  metadata: Record<string, string>
  creation_time: string
  last_update_time: string
}

export interface EntityEntry {
  id: string
  name: string
  metadata: Record<string, string>
  policies: string[]
  disabled: boolean
  aliases: AliasEntry[]
  creation_time: string
  last_update_time: string
}

export interface EntityChange {
  name?: string | undefined
  metadata?: Record<string, string> | undefined
  policies?: string[] | undefined
  disabled?: boolean | undefined
}

/** How an auth method calls the one who logged in. */
export interface LoginAlias {
  name: string
  metadata?: Record<string, string>
  mountAccessor: string
  mountType: string
  mountPath: string
}

/** What being an entity adds to a token. */
export interface Standing {
  policies: readonly string[]
  subject: TemplateSubject
}

const MAX_NAME_BYTES = 512
/** Bounds of the Vault API. An entity is read on every request of its tokens, so it has to stay small. */
const MAX_METADATA_PAIRS = 64
const MAX_METADATA_KEY_BYTES = 128
const MAX_METADATA_VALUE_BYTES = 512
const MAX_POLICIES = 1000

export class Identity {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #standings = new WeakMap<Readonly<EntityEntry>, Standing>()

  constructor({ storage, clock }: { storage: Storage; clock: Clock }) {
    this.#storage = storage
    this.#clock = clock
  }

  /**
   * The entity of a log-in; made with its alias when there is none.
   *
   * @throws ApiError `permission_denied` when it is disabled
   */
  async entityOf(alias: LoginAlias): Promise<Readonly<EntityEntry>> {
    const known = await this.#storage.getShared<{ entity: string }>(aliasKey(alias))
    const entity = known && (await this.get(known.entity))
    const current = entity && sameMetadata(entity, alias) ? entity : await this.#remember(alias)
    if (current.disabled)
      throw new ApiError('permission_denied', 'permission denied', { reason: 'the entity is disabled' })
    return current
  }

  get(id: string): Promise<Readonly<EntityEntry> | undefined> {
    return this.#storage.getShared<EntityEntry>(`entity/${id}`)
  }

  async byName(name: string): Promise<Readonly<EntityEntry> | undefined> {
    const found = await this.#storage.getShared<{ id: string }>(nameKey(name))
    return found && this.get(found.id)
  }

  async byAlias(aliasId: string): Promise<Readonly<EntityEntry> | undefined> {
    const found = await this.#storage.getShared<{ entity: string }>(`alias-id/${aliasId}`)
    return found && this.get(found.entity)
  }

  async ids(page: Page = {}): Promise<string[]> {
    return listNames(this.#storage, 'entity/', page)
  }

  async count(): Promise<number> {
    return await countNames(this.#storage, 'entity/')
  }

  async aliasIds(page: Page = {}): Promise<string[]> {
    return listNames(this.#storage, 'alias-id/', page)
  }

  /** As they were given; in the order of their lower-case forms, under which they are kept. */
  async names({ after, limit }: Page = {}): Promise<string[]> {
    const names: string[] = []
    for (const key of await listNames(this.#storage, 'name/', { after: after && foldedName(after), limit })) {
      const found = await this.#storage.getShared<{ id: string }>(`name/${key}`)
      const entity = found && (await this.get(found.id))
      if (entity) names.push(entity.name)
    }
    return names
  }

  /**
   * What an entity adds to its tokens. Undefined when it is gone or disabled: its tokens are then good for nothing.
   * The same object while the entity is unchanged.
   */
  async standing(id: string): Promise<Standing | undefined> {
    const entity = await this.get(id)
    if (!entity || entity.disabled) return undefined
    let standing = this.#standings.get(entity)
    if (!standing) this.#standings.set(entity, (standing = standingOf(entity)))
    return standing
  }

  /** Make one, or change the one of this id or name. */
  async write(
    which: { id?: string | undefined; name?: string | undefined },
    given: EntityChange,
  ): Promise<{ entity: EntityEntry; made: boolean }> {
    const change = checkedChange(given)
    return this.#storage.transact(async (transaction) => {
      const named =
        which.id === undefined && which.name !== undefined
          ? await transaction.get<{ id: string }>(nameKey(which.name))
          : undefined
      const id = which.id ?? named?.id
      const there = id === undefined ? undefined : await transaction.get<EntityEntry>(`entity/${id}`)
      if (which.id !== undefined && !there) throw new ApiError('invalid_request', 'entity not found from id')
      const before = there ?? this.#newEntity(which.name)
      const after = { ...before, ...change, last_update_time: rfc3339(this.#clock.now()) }
      await this.#put(transaction, there, after)
      return { entity: after, made: !there }
    })
  }

  async delete(id: string): Promise<void> {
    await this.#storage.transact(async (transaction) => {
      const entity = await transaction.get<EntityEntry>(`entity/${id}`)
      if (!entity) return
      transaction.delete(`entity/${id}`)
      transaction.delete(nameKey(entity.name))
      for (const alias of entity.aliases) {
        transaction.delete(`alias/${alias.mount_accessor}/${nameHash(alias.name)}`)
        transaction.delete(`alias-id/${alias.id}`)
      }
    })
  }

  /** The log-in's alias on record, with a new entity if it is the first. */
  #remember(alias: LoginAlias): Promise<EntityEntry> {
    return this.#storage.transact(async (transaction) => {
      const known = await transaction.get<{ entity: string }>(aliasKey(alias))
      const there = known && (await transaction.get<EntityEntry>(`entity/${known.entity}`))
      const entity = there ?? this.#newEntity(undefined)
      const at = rfc3339(this.#clock.now())
      const kept = entity.aliases.find(
        (each) => each.name === alias.name && each.mount_accessor === alias.mountAccessor,
      )
      const current: AliasEntry = {
        id: kept?.id ?? randomUUID(),
        name: alias.name,
        mount_accessor: alias.mountAccessor,
        mount_type: alias.mountType,
        mount_path: alias.mountPath,
        metadata: alias.metadata ?? {},
        creation_time: kept?.creation_time ?? at,
        last_update_time: at,
      }
      const after = { ...entity, aliases: [...entity.aliases.filter((each) => each !== kept), current] }
      await this.#put(transaction, there, after)
      transaction.put(aliasKey(alias), { entity: after.id, alias: current.id })
      transaction.put(`alias-id/${current.id}`, { entity: after.id })
      return after
    })
  }

  async #put(transaction: StorageTransaction, before: EntityEntry | undefined, after: EntityEntry): Promise<void> {
    const holder = await transaction.get<{ id: string }>(nameKey(after.name))
    if (holder && holder.id !== after.id) throw new ApiError('invalid_request', 'entity name is already in use')
    if (before && before.name !== after.name) transaction.delete(nameKey(before.name))
    transaction.put(nameKey(after.name), { id: after.id })
    transaction.put(`entity/${after.id}`, after)
  }

  #newEntity(name: string | undefined): EntityEntry {
    const at = rfc3339(this.#clock.now())
    return {
      id: randomUUID(),
      name: name ?? `entity_${randomBytes(4).toString('hex')}`,
      metadata: {},
      policies: [],
      disabled: false,
      aliases: [],
      creation_time: at,
      last_update_time: at,
    }
  }
}

function standingOf(entity: Readonly<EntityEntry>): Standing {
  const aliases = entity.aliases.map(({ id, name, mount_accessor, metadata }) => ({
    id,
    name,
    mountAccessor: mount_accessor,
    metadata,
    customMetadata: {},
  }))
  const facts = { entity: { id: entity.id, name: entity.name, metadata: entity.metadata, aliases }, groups: [] }
  return {
    // Whatever is stored: nobody becomes root by way of an entity.
    policies: entity.policies.filter((name) => name !== 'root'),
    // Of what the templates can name, not of when it changed: two changes may come in the same millisecond.
    subject: { key: hash('sha256', JSON.stringify(facts), 'base64'), expand: identityExpander(facts) },
  }
}

/** An auth method may say something new about its caller, e.g. another role: the alias follows. */
function sameMetadata(entity: Readonly<EntityEntry>, alias: LoginAlias): boolean {
  const kept = entity.aliases.find((each) => each.name === alias.name && each.mount_accessor === alias.mountAccessor)
  return kept !== undefined && JSON.stringify(kept.metadata) === JSON.stringify(alias.metadata ?? {})
}

/** @throws ApiError `invalid_request` for what no entity may have */
function checkedChange({ name, metadata, policies, disabled }: EntityChange): Partial<EntityEntry> {
  const clean = policies && sanitizePolicies(policies)
  if (clean?.includes('root')) throw refused('policies cannot contain root')
  if (clean && clean.length > MAX_POLICIES) throw refused(`no more than ${MAX_POLICIES} policies`)
  if (name !== undefined) checkName(name)
  if (metadata) checkMetadata(metadata)
  return {
    ...(name !== undefined && { name }),
    ...(metadata && { metadata }),
    ...(clean && { policies: clean }),
    ...(disabled !== undefined && { disabled }),
  }
}

/** A key of the store is made of it, and operators read it in lists. */
function checkName(name: string): void {
  if (name === '' || /\p{Cc}/u.test(name)) throw refused('the name is empty or has characters that cannot be printed')
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw refused(`the name has more than ${MAX_NAME_BYTES} bytes`)
}

function checkMetadata(metadata: Record<string, string>): void {
  const pairs = Object.entries(metadata)
  if (pairs.length > MAX_METADATA_PAIRS) throw refused(`metadata has more than ${MAX_METADATA_PAIRS} pairs`)
  for (const [key, value] of pairs) {
    if (key === '' || Buffer.byteLength(key) > MAX_METADATA_KEY_BYTES) {
      throw refused(`a key of metadata has 1 to ${MAX_METADATA_KEY_BYTES} bytes`)
    }
    if (Buffer.byteLength(value) > MAX_METADATA_VALUE_BYTES) {
      throw refused(`a value of metadata has at most ${MAX_METADATA_VALUE_BYTES} bytes`)
    }
  }
}

function sanitizePolicies(policies: readonly string[]): string[] {
  const names = policies.map((each) => each.trim().toLowerCase()).filter((each) => each !== '')
  return [...new Set(names)]
}

function refused(message: string): ApiError {
  return new ApiError('invalid_request', message)
}

/** Names come from outside and may hold anything, so keys hold their hash. */
const nameHash = (name: string): string => hash('sha256', name, 'hex')
const aliasKey = (alias: LoginAlias): string => `alias/${alias.mountAccessor}/${nameHash(alias.name)}`
const foldedName = (name: string): string => name.toLowerCase().replaceAll('/', '%2F')
const nameKey = (name: string): string => `name/${foldedName(name)}`
