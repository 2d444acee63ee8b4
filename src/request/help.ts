/** What a path is for, made from its one description. */
import type { Field } from '#sdk/schema.ts'
import type { Endpoint, Path, Reply, Verb } from '#sdk/engine.ts'
import type { Routed } from './route.ts'

const methods: Record<Verb, string> = {
  read: 'GET',
  list: 'LIST',
  scan: 'SCAN',
  update: 'POST',
  patch: 'PATCH',
  delete: 'DELETE',
}

/** `help` is asked for by GET. */
export function methodOf(operation: Verb | 'help'): string {
  return operation === 'help' ? 'GET' : methods[operation]
}

export function helpReply({ mounted, match }: Routed): Reply {
  return replyOf(match ? textOf(mounted!.route, match.path) : mountHelp(mounted!))
}

/** Of one path alone. */
export function pathHelp(path: Path): Reply {
  return replyOf(textOf('', path))
}

function replyOf(help: string): Reply {
  return { raw: { contentType: 'application/json', body: `${JSON.stringify({ help, see_also: null })}\n` } }
}

function textOf(route: string, { pattern, operations, about, unauthenticated, sudo }: Path): string {
  const notes = [unauthenticated && 'Needs no token.', sudo && 'Needs the sudo capability.'].filter(Boolean).join(' ')
  const parts = Object.entries(operations).map(([verb, endpoint]) => endpointHelp(verb as Verb, endpoint))
  return [`${route}${pattern}`, about, notes, ...parts].filter((part) => part).join('\n\n')
}

function endpointHelp(verb: Verb, { about, fields }: Endpoint): string {
  const lines = Object.entries(fields).map(
    ([name, field]) => `    ${name} (${fieldNotes(field)})\n        ${field.about}`,
  )
  return [`${methods[verb]}: ${about}`, ...lines].join('\n')
}

/** `integer, from 1 to 10, default 3`; bounds and choices as the decoder holds them. */
function fieldNotes(field: Field): string {
  const notes = [field.type, ...boundsOf(field)]
  if (field.required) notes.push('required')
  if ('default' in field) notes.push(`default ${JSON.stringify(field.default)}`)
  if (field.deprecated) notes.push('deprecated')
  return notes.join(', ')
}

/** What values it takes, beyond its type. */
export function boundsOf(field: Field): string[] {
  if (field.type === 'string' && field.choices) return [`one of ${field.choices.join(' ')}`]
  if (field.type !== 'integer' && field.type !== 'duration') return []
  const { min, max } = { max: undefined, ...field }
  const bounds = [min !== undefined && `from ${min}`, max !== undefined && `to ${max}`].filter(Boolean)
  return bounds.length > 0 ? [bounds.join(' ')] : []
}

function mountHelp({ engine, mount, route }: NonNullable<Routed['mounted']>): string {
  const lines = engine.paths(mount.settings()).map(({ pattern, about, operations }) => {
    // Two methods may do the same.
    const title = about ?? [...new Set(Object.values(operations).map((each) => each.about))].join(' ')
    return `    ${route}${pattern}\n        ${title}`
  })
  return [engine.about, 'Paths:', ...lines].join('\n\n')
}
