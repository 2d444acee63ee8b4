/** One path of an engine in the words of OpenAPI 3.0. Pure. */
import type { Endpoint, Path, Verb } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import { bodySchema, fieldSchema, type Schema } from './field.ts'

export interface Place {
  /** Before the pattern, with a slash at both ends: `/secret/`, `/auth/{userpass_mount_path}/`. */
  prefix: string
  /** Parameters that the prefix has. */
  parameters: readonly Schema[]
  /** What operations are called by: `kv`, `auth-approle`. */
  group: string
  tag: string
}

/** Gives a name to the schema of a body, the same one for the same schema. */
export type NameSchema = (wanted: string, schema: Schema) => string

/** `/secret/data/{path}` */
export function addressOf({ prefix }: Place, { pattern }: Path): string {
  return `${prefix}${pattern.replaceAll(/[:*](\w+)/g, '{$1}')}`
}

export function pathItem(place: Place, path: Path, nameSchema: NameSchema): Schema {
  const names = Array.from(path.pattern.matchAll(/[:*](\w+)/g), ([, name]) => name!)
  const first = Object.values(path.operations)[0]!
  const parameters = names.map((name) => {
    const field = first.fields[name]
    const described = field ? fieldSchema(field) : { type: 'string' }
    const { description, default: _, ...schema } = described as Schema & { description?: string }
    return { name, in: 'path', required: true, schema, ...(description && { description }) }
  })
  const item: Schema = {
    description: path.about ?? first.about,
    ...(names.length + place.parameters.length > 0 && { parameters: [...place.parameters, ...parameters] }),
    ...(path.sudo && { 'x-vault-sudo': true }),
    ...(path.unauthenticated && { 'x-vault-unauthenticated': true }),
    ...(path.exists && { 'x-vault-createSupported': true }),
  }
  const context = { place, path, names, nameSchema }
  const looks = lookingOperation(context)
  if (looks) item['get'] = looks
  const { update, patch, delete: remove } = path.operations
  if (update) item['post'] = changingOperation(context, 'update', update)
  if (patch) item['patch'] = changingOperation(context, 'patch', patch)
  if (remove) item['delete'] = operation(context, 'delete', remove, queryOf(remove.fields, names), '204')
  return item
}

interface Context {
  place: Place
  path: Path
  /** Of the parameters in the pattern. */
  names: readonly string[]
  nameSchema: NameSchema
}

/** Reading, listing and scanning are one operation of HTTP, told apart by the query. */
function lookingOperation(context: Context): Schema | undefined {
  const { read, list, scan } = context.path.operations
  const main = read ?? list ?? scan
  if (!main) return undefined
  const parameters = queryOf({ ...scan?.fields, ...list?.fields, ...read?.fields }, context.names)
  const only = [read, list, scan].filter(Boolean).length === 1
  for (const [name, given] of Object.entries({ list, scan })) {
    if (!given) continue
    const description = `Must be set to \`true\` to ${name}.`
    parameters.push({
      name,
      in: 'query',
      ...(only && { required: true }),
      description,
      schema: { type: 'string', enum: ['true'] },
    })
  }
  return operation(context, read ? 'read' : list ? 'list' : 'scan', main, parameters, '200')
}

function changingOperation(context: Context, verb: 'update' | 'patch', endpoint: Endpoint): Schema {
  const { place, path, names, nameSchema } = context
  const inBody = Object.keys(endpoint.fields).filter((name) => !names.includes(name))
  const made = operation(context, verb, endpoint, [], '200')
  if (inBody.length === 0 && !path.arbitrary) return made
  const schema = bodySchema(endpoint.fields, inBody)
  const name = nameSchema(
    `${idOf(place.group, verb, path)}-request`,
    path.arbitrary ? { ...schema, additionalProperties: true } : schema,
  )
  const type = verb === 'patch' ? 'application/merge-patch+json' : 'application/json'
  const body = { content: { [type]: { schema: { $ref: `#/components/schemas/${name}` } } } }
  return {
    ...made,
    requestBody: inBody.some((each) => endpoint.fields[each]!.required) ? { required: true, ...body } : body,
  }
}

function operation(
  { place, path }: Context,
  verb: Verb,
  { about }: Endpoint,
  parameters: readonly Schema[],
  status: string,
): Schema {
  return {
    summary: about,
    operationId: idOf(place.prefix.replaceAll(/[{}]/g, ''), verb, path),
    tags: [place.tag],
    ...(parameters.length > 0 && { parameters }),
    responses: { [status]: { description: status === '204' ? 'empty body' : 'OK' } },
  }
}

function queryOf(fields: Fields, inPath: readonly string[]): Schema[] {
  return Object.entries(fields)
    .filter(([name]) => !inPath.includes(name))
    .map(([name, field]) => {
      const { description, ...schema } = fieldSchema(field) as Schema & { description?: string }
      return { name, in: 'query', schema, ...(description && { description }) }
    })
}

const words: Readonly<Record<Verb, string>> = {
  read: 'read',
  list: 'list',
  scan: 'scan',
  update: 'write',
  patch: 'patch',
  delete: 'delete',
}

/** `secret-write-data-path`. Patterns tell `:name` from `name`; so does the id. */
function idOf(group: string, verb: Verb, { pattern }: Path): string {
  const rest = pattern.replaceAll(/[:*](\w+)/g, 'by-$1')
  return [group, words[verb], rest]
    .join('-')
    .replaceAll(/[^A-Za-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '')
}
