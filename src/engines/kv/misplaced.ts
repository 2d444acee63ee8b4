/** What a versioned mount answers where it has no path: mostly callers that still speak as to version 1. */
import { type Call, type Path, type Reply, endpoint } from '#sdk/engine.ts'
import { path } from './paths.ts'

const fields = { path } as const

const roots = new Set(['data', 'delete', 'destroy', 'metadata', 'undelete'])

const secretPaths = new Set(['data/', 'metadata/', 'subkeys/'])

/** The word of the command line for what was tried. */
const commands: Record<Call['operation'], string> = {
  read: 'get',
  list: 'list',
  scan: 'list',
  create: 'put',
  update: 'put',
  patch: 'patch',
  delete: 'delete',
  help: 'get',
}

const tell = endpoint('Nothing is here.', fields, explain)

export const misplacedPath: Path = {
  pattern: '*path',
  about: 'No path of a versioned mount.',
  operations: { read: tell, list: tell, scan: tell, update: tell, delete: tell },
}

async function explain({ operation, path: asked }: Call<typeof fields>): Promise<Reply> {
  // With the slash it is the secret with the empty path, which is never there.
  if (secretPaths.has(asked)) return {}
  if (roots.has(asked)) {
    return { status: 404, warnings: ['Non-listing operations on the root of a K/V v2 mount are not supported.'] }
  }
  const warning =
    'Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. ' +
    `If using the OpenBao CLI, use 'bao kv ${commands[operation]}' for this operation.`
  return { status: 404, warnings: [warning] }
}
