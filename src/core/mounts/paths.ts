/** The paths of one engine, compiled once: a tree by path segment, so that a look-up costs one step a segment. Pure. */
import type { Path } from '#sdk/engine.ts'

interface Node {
  literal: Map<string, Node>
  parameter: { name: string; node: Node } | undefined
  rest: Rest | undefined
  path: Path | undefined
}

interface Rest {
  name: string
  path: Path | undefined
  /** `*path/tune`: by the segment that follows the rest. */
  before: Map<string, Path>
}

export interface Match {
  readonly path: Path
  readonly params: Readonly<Record<string, string>>
}

const newNode = (): Node => ({ literal: new Map(), parameter: undefined, rest: undefined, path: undefined })

const MAX_RECENT = 1000
const MAX_RECENT_CHARS = 256

export class PathTable {
  readonly #root = newNode()
  /** What was found lately: programs ask for the same few secrets again and again. Matches are shared, and never changed. */
  readonly #recent = new Map<string, Match>()

  /** @throws Error when two patterns claim the same place: a mistake in an engine, found when it is loaded */
  constructor(paths: readonly Path[]) {
    for (const path of paths) this.#add(path)
  }

  /**
   * @param rest     path below the mount
   * @param listing  listings come with or without a slash at their end, and may ask for the top: `metadata` or `metadata/`
   */
  find(rest: string, listing: boolean): Match | undefined {
    const recent = listing ? undefined : this.#recent.get(rest)
    if (recent) return recent
    const match = this.#find(rest, listing)
    if (match && !listing && rest.length <= MAX_RECENT_CHARS) {
      if (this.#recent.size >= MAX_RECENT) this.#recent.clear()
      this.#recent.set(rest, match)
    }
    return match
  }

  #find(rest: string, listing: boolean): Match | undefined {
    const segments = (listing && rest.endsWith('/') ? rest.slice(0, -1) : rest).split('/')
    const params: Record<string, string> = {}
    const path = this.#walk(this.#root, segments, 0, params, listing)
    return path && { path, params }
  }

  #add(path: Path): void {
    let node = this.#root
    for (const segment of path.pattern === '' ? [''] : path.pattern.split('/')) {
      if (segment.startsWith('*')) return addRest(node, path, segment.slice(1))
      if (segment.startsWith(':')) {
        node.parameter ??= { name: segment.slice(1), node: newNode() }
        if (node.parameter.name !== segment.slice(1)) throw new Error(`two names for one place: ${path.pattern}`)
        node = node.parameter.node
        continue
      }
      let next = node.literal.get(segment)
      if (!next) node.literal.set(segment, (next = newNode()))
      node = next
    }
    if (node.path) throw new Error(`pattern given twice: ${path.pattern}`)
    node.path = path
  }

  #walk(
    node: Node,
    segments: string[],
    at: number,
    params: Record<string, string>,
    listing: boolean,
  ): Path | undefined {
    if (at === segments.length) {
      const { path } = node
      // A listing of the top belongs to the rest pattern, unless the path itself lists.
      const lists = path?.operations.list ?? path?.operations.scan
      if (path && (!listing || lists || !node.rest)) return path
      if (!listing || !node.rest?.path) return undefined
      params[node.rest.name] = ''
      return node.rest.path
    }
    const segment = segments[at]!
    const literal = node.literal.get(segment)
    const byName = literal && this.#walk(literal, segments, at + 1, params, listing)
    if (byName) return byName
    if (node.parameter && segment !== '') {
      const found = this.#walk(node.parameter.node, segments, at + 1, params, listing)
      if (found) {
        params[node.parameter.name] = segment
        return found
      }
    }
    if (!node.rest) return undefined
    return matchRest(node.rest, segments.slice(at), params, listing)
  }
}

/** `mounts/*path`, or `mounts/*path/tune` with one literal segment after the rest. */
function addRest(node: Node, path: Path, name: string): void {
  node.rest ??= { name, path: undefined, before: new Map() }
  const last = path.pattern.slice(path.pattern.indexOf('*') + 1 + name.length + 1)
  const taken = last === '' ? node.rest.path : node.rest.before.get(last)
  if (taken || node.rest.name !== name || last.includes('/'))
    throw new Error(`the rest cannot be told apart: ${path.pattern}`)
  if (last === '') node.rest.path = path
  else node.rest.before.set(last, path)
}

function matchRest(rest: Rest, segments: string[], params: Record<string, string>, listing: boolean): Path | undefined {
  const before = segments.length > 1 ? rest.before.get(segments.at(-1)!) : undefined
  const value = (before ? segments.slice(0, -1) : segments).join('/')
  if (value === '' && !listing) return undefined
  params[rest.name] = value
  return before ?? rest.path
}
