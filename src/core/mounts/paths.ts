/** The paths of one engine, compiled once: a tree by path segment, so that a look-up costs one step a segment. Pure. */
import type { Path } from '#sdk/engine.ts'

interface Node {
  literal: Map<string, Node>
  parameter: { name: string; node: Node } | undefined
  rest: { name: string; path: Path } | undefined
  path: Path | undefined
}

export interface Match {
  path: Path
  params: Record<string, string>
}

const newNode = (): Node => ({ literal: new Map(), parameter: undefined, rest: undefined, path: undefined })

export class PathTable {
  readonly #root = newNode()

  /** @throws Error when two patterns claim the same place: a mistake in an engine, found when it is loaded */
  constructor(paths: readonly Path[]) {
    for (const path of paths) this.#add(path)
  }

  /**
   * @param rest     path below the mount
   * @param listing  listings come with or without a slash at their end, and may ask for the top: `metadata` or `metadata/`
   */
  find(rest: string, listing: boolean): Match | undefined {
    const segments = (listing && rest.endsWith('/') ? rest.slice(0, -1) : rest).split('/')
    const params: Record<string, string> = {}
    const path = this.#walk(this.#root, segments, 0, params, listing)
    return path && { path, params }
  }

  #add(path: Path): void {
    let node = this.#root
    for (const segment of path.pattern === '' ? [''] : path.pattern.split('/')) {
      if (segment.startsWith('*')) {
        if (node.rest) throw new Error(`two patterns end in a rest: ${path.pattern}`)
        node.rest = { name: segment.slice(1), path }
        return
      }
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
      if (!listing || !node.rest) return undefined
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
    const rest = at === 0 ? segments.join('/') : segments.slice(at).join('/')
    if (rest === '' && !listing) return undefined
    params[node.rest.name] = rest
    return node.rest.path
  }
}
