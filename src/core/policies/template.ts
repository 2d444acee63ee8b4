/**
 * Templates in the paths of policies: `secret/data/{{identity.entity.name}}/*`. Pure.
 *
 * What a template stands for may have been chosen by the one it is about, such as a name from an outside directory. So
 * a value must not act as a wildcard: the path would then open more than its author wrote.
 */

/** Gives what a template such as `identity.entity.id` stands for; undefined when there is nothing of that name. */
export type Expand = (template: string) => string | undefined

export interface TemplateSubject {
  /** Another one whenever anything that a template could name is another: e.g. entity id and version, groups and versions. */
  key: string
  expand: Expand
}

/** What identity knows about one caller, for templates. */
export interface IdentityFacts {
  entity: { id: string; name: string; metadata: Readonly<Record<string, string>>; aliases: readonly AliasFacts[] }
  groups: readonly { id: string; name: string; metadata: Readonly<Record<string, string>> }[]
}

export interface AliasFacts {
  mountAccessor: string
  id: string
  name: string
  metadata: Readonly<Record<string, string>>
  customMetadata: Readonly<Record<string, string>>
}

type Checked = { ok: true; templated: boolean } | { ok: false; message: string }

/** Whether the braces of a path fit together, and whether there are any. */
export function checkTemplate(path: string): Checked {
  let templated = false
  for (const [index, part] of path.split('{{').entries()) {
    const closings = part.split('}}').length - 1
    if (closings !== (index === 0 ? 0 : 1)) return { ok: false, message: 'unbalanced templating characters' }
    templated ||= index > 0
  }
  return { ok: true, templated }
}

/** The path with every template replaced; undefined if one stands for nothing or for something dangerous. */
export function expandPath(path: string, expand: Expand): string | undefined {
  const [head, ...rest] = path.split('{{')
  let expanded = head!
  for (const part of rest) {
    const [template, after] = part.split('}}')
    const value = expand(template!.trim())
    if (value === undefined || value === '' || actsAsWildcard(value)) return undefined
    expanded += value + (after ?? '')
  }
  return expanded
}

function actsAsWildcard(value: string): boolean {
  return value.includes('*') || value.split('/').includes('+')
}

/** Builds the expander for one caller. Names are compared exactly; metadata keys may contain dots. */
export function identityExpander({ entity, groups }: IdentityFacts): Expand {
  return (template) => {
    const rest = after(template, 'identity.')
    if (rest === undefined) return undefined
    const entityPart = after(rest, 'entity.')
    if (entityPart !== undefined) return ofEntity(entity, entityPart)
    const byId = after(rest, 'groups.ids.')
    if (byId !== undefined) return ofGroup(groups, 'id', byId)
    const byName = after(rest, 'groups.names.')
    return byName === undefined ? undefined : ofGroup(groups, 'name', byName)
  }
}

function ofEntity(entity: IdentityFacts['entity'], field: string): string | undefined {
  if (field === 'id') return entity.id
  if (field === 'name') return entity.name
  const metadata = after(field, 'metadata.')
  if (metadata !== undefined) return own(entity.metadata, metadata)
  const [accessor, ...path] = (after(field, 'aliases.') ?? '').split('.')
  const alias = entity.aliases.find((each) => each.mountAccessor === accessor)
  if (!alias) return undefined
  const inAlias = path.join('.')
  if (inAlias === 'id') return alias.id
  if (inAlias === 'name') return alias.name
  const inMetadata = after(inAlias, 'metadata.')
  if (inMetadata !== undefined) return own(alias.metadata, inMetadata)
  const custom = after(inAlias, 'custom_metadata.')
  return custom === undefined ? undefined : own(alias.customMetadata, custom)
}

/** Group names may contain dots, so the field is looked for behind each group's own name. */
function ofGroup(groups: IdentityFacts['groups'], by: 'id' | 'name', path: string): string | undefined {
  for (const group of groups) {
    const field = after(path, `${group[by]}.`)
    if (field === undefined) continue
    if (field === 'id') return group.id
    if (field === 'name') return group.name
    const metadata = after(field, 'metadata.')
    if (metadata !== undefined) return own(group.metadata, metadata)
  }
  return undefined
}

function after(text: string, prefix: string): string | undefined {
  return text.startsWith(prefix) ? text.slice(prefix.length) : undefined
}

function own(record: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined
}
