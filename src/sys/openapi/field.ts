/** Fields of an endpoint in the words of OpenAPI 3.0. Pure. */
import type { Field, Fields } from '#sdk/schema.ts'

export type Schema = Record<string, unknown>

export function fieldSchema(field: Field): Schema {
  return {
    ...typeOf(field),
    ...(field.about !== '' && { description: field.about }),
    ...('default' in field && field.default !== undefined && { default: field.default }),
    ...(field.deprecated && { deprecated: true }),
  }
}

/** @param names  of those that belong into the body */
export function bodySchema(fields: Fields, names: readonly string[]): Schema {
  const required = names.filter((name) => fields[name]!.required)
  return {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, fieldSchema(fields[name]!)])),
    ...(required.length > 0 && { required }),
  }
}

function typeOf(field: Field): Schema {
  switch (field.type) {
    case 'string':
      return { type: 'string', ...(field.choices && { enum: field.choices }) }
    case 'number':
      return { type: 'number', format: 'float' }
    case 'integer':
      return {
        type: 'integer',
        ...(field.min !== undefined && { minimum: field.min }),
        ...(field.max !== undefined && { maximum: field.max }),
      }
    case 'boolean':
      return { type: 'boolean' }
    case 'duration':
      return { type: 'integer', format: 'seconds' }
    case 'strings':
      return { type: 'array', items: { type: 'string' } }
    case 'integers':
      return { type: 'array', items: { type: 'integer' } }
    case 'pairs':
      return { type: 'object', format: 'kvpairs', additionalProperties: true }
    case 'map':
      return { type: 'object', format: 'map', additionalProperties: true }
    case 'any':
      return {}
  }
}
