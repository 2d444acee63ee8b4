/**
 * The whole API as an OpenAPI 3.0 document, made of the descriptions that engines give of their paths. Joined as text, a
 * mount at a time, so that a server with thousands of mounts goes on answering meanwhile.
 */
import { setImmediate } from 'node:timers/promises'
import type { Mounted } from '#core/mounts/mounts.ts'
import type { Path } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Schema } from './field.ts'
import { addressOf, pathItem, type Place } from './path-item.ts'

/** A server with its usual mounts has half a megabyte. */
export const MAX_DOCUMENT_CHARACTERS = 32 * 1024 * 1024

/** Engines of which there is one, where it always is. */
const fixedTypes = ['system', 'identity', 'token', 'cubbyhole']

export interface DocumentOptions {
  mounts: readonly Mounted[]
  /** Paths from `sys/…` on that are answered without the barrier. */
  bare: readonly Path[]
  /** One mount of each kind, at a path that is a parameter. */
  generic: boolean
  /** Of the API. */
  version: string
}

/** @throws ApiError `too_large` */
export async function openApiDocument({ mounts, bare, generic, version }: DocumentOptions): Promise<string> {
  const schemas = new Map<string, string>()
  const parts: string[] = []
  let characters = 0
  const add = (place: Place, paths: readonly Path[]) => {
    for (const path of paths) {
      const item = JSON.stringify(pathItem(place, path, (name, schema) => named(schemas, name, schema)))
      const part = `${JSON.stringify(addressOf(place, path))}:${item}`
      characters += part.length
      parts.push(part)
    }
    if (characters > MAX_DOCUMENT_CHARACTERS) {
      throw new ApiError('too_large', 'the document would be too long: ask with generic_mount_paths=true')
    }
  }
  add({ prefix: '/', parameters: [], group: 'system', tag: 'system' }, bare)
  const told = new Set<string>()
  for (const mounted of mounts) {
    const kind = `${mounted.entry.kind}/${kindOf(mounted)}`
    const isFixed = fixedTypes.includes(mounted.entry.type)
    if (generic && !isFixed && told.has(kind)) continue
    told.add(kind)
    add(placeOf(mounted, generic && !isFixed), mounted.engine.paths(mounted.mount.settings()))
    await setImmediate()
  }
  const components = [...schemas].map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(',')
  return `{"openapi":"3.0.2","info":${infoOf(version)},"paths":{${parts.join(',')}},"components":{"schemas":{${components}}}}\n`
}

function infoOf(version: string): string {
  return JSON.stringify({
    title: 'Strongroom API',
    description: 'HTTP API of this server. All addresses begin with `/v1/`.',
    version,
    license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
  })
}

/** `kv_v2`: engines that answer differently by their options count as different kinds. */
function kindOf({ entry }: Mounted): string {
  const version = entry.options?.['version']
  return version === undefined ? entry.type : `${entry.type}_v${version}`
}

function placeOf(mounted: Mounted, generic: boolean): Place {
  const { entry, route } = mounted
  const kind = kindOf(mounted)
  const tag =
    entry.type === 'system'
      ? 'system'
      : entry.type === 'identity'
        ? 'identity'
        : entry.kind === 'auth'
          ? 'auth'
          : 'secrets'
  const group = entry.kind === 'auth' ? `auth-${kind}` : kind
  if (!generic) return { prefix: `/${route}`, parameters: [], group, tag }
  const name = `${kind}_mount_path`
  const description = 'Path that the engine is mounted at.'
  const parameter = { name, in: 'path', required: true, description, schema: { type: 'string', default: entry.type } }
  return { prefix: entry.kind === 'auth' ? `/auth/{${name}}/` : `/{${name}}/`, parameters: [parameter], group, tag }
}

/** Of two schemas that want one name, the second gets a number. */
function named(schemas: Map<string, string>, wanted: string, schema: Schema): string {
  const text = JSON.stringify(schema)
  const base = wanted.replaceAll(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}${number}`
    const there = schemas.get(name)
    if (there === text) return name
    if (there === undefined) {
      schemas.set(name, text)
      return name
    }
  }
}
