/** The reference of the API: a page for each kind of engine, made of the descriptions that its paths give of themselves. */
import { authMethods } from '#auth/registry.ts'
import { engines } from '#engines/registry.ts'
import { boundsOf, methodOf } from '#request/help.ts'
import type { Path, Verb } from '#sdk/engine.ts'
import type { Field } from '#sdk/schema.ts'
import { startServer } from '#test/server.ts'
import { cell, type Page, table } from './page.ts'

/** One page: the paths of one kind of engine. */
interface Room {
  file: string
  title: string
  about: string
  /** What stands before each pattern, e.g. `auth/approle/`. */
  prefix: string
  /** Where it is mounted is up to whoever mounts it. */
  movable: boolean
  paths: readonly Path[]
}

/** The same engine under an older name. */
const otherNames = ['generic']

const verbs: readonly Verb[] = ['read', 'list', 'scan', 'update', 'patch', 'delete']

export async function apiPages(): Promise<Page[]> {
  const rooms = await allRooms()
  return [indexPage(rooms), ...rooms.map(roomPage)]
}

export async function allRooms(): Promise<Room[]> {
  const settings = (options: Record<string, string> = {}) => ({
    defaultLeaseTtlSeconds: 1,
    maxLeaseTtlSeconds: 1,
    options,
  })
  await using server = await startServer()
  const { mounts } = server.node.core
  const rooms: Room[] = [
    {
      file: 'sealed',
      title: 'Before the unseal',
      about: 'What a server answers whether it is sealed or not. Nothing here needs a token unless it is said.',
      prefix: '',
      movable: false,
      paths: server.node.gate.bare,
    },
  ]
  for (const { engine, mount, route } of [...(await mounts.all('secret')), ...(await mounts.all('auth'))]) {
    rooms.push({
      file: engine.name,
      title: engine.name,
      about: engine.about,
      prefix: route,
      movable: false,
      paths: engine.paths(mount.settings()),
    })
  }
  for (const [prefix, registry] of [
    ['', engines],
    ['auth/', authMethods],
  ] as const) {
    for (const [name, load] of Object.entries(registry)) {
      if (otherNames.includes(name) || rooms.some((room) => room.file === name)) continue
      const { engine } = await load()
      const shared = { about: engine.about, prefix: `${prefix}${name}/`, movable: true }
      if (name !== 'kv') {
        rooms.push({ file: name, title: name, ...shared, paths: engine.paths(settings()) })
        continue
      }
      for (const version of ['1', '2']) {
        const title = `kv, version ${version}`
        rooms.push({ file: `kv-v${version}`, title, ...shared, paths: engine.paths(settings({ version })) })
      }
    }
  }
  return rooms
}

function indexPage(rooms: readonly Room[]): Page {
  const rows = rooms.map(({ file, title, about, prefix, paths }) => [
    `[${title}](${file}.md)`,
    prefix === '' ? '' : `\`${prefix}\``,
    String(paths.length),
    cell(about),
  ])
  const text = `# The HTTP API

Every path that this server has, made from the same descriptions as \`strongroom path-help PATH\`, \`?help=1\` and
\`sys/internal/specs/openapi\`. All addresses begin with \`/v1/\`.

- A token goes into the header \`X-Vault-Token\` (or \`Authorization: Bearer …\`). A path needs one unless it is said here.
- \`LIST\` may be sent as \`GET\` with \`?list=true\`, \`SCAN\` as \`GET\` with \`?scan=true\`, \`POST\` also as \`PUT\`.
- Fields of \`GET\`, \`LIST\`, \`SCAN\` and \`DELETE\` go into the query, those of \`POST\` and \`PATCH\` into the body, as JSON.
- A *duration* is a number of seconds or a text such as \`90s\`, \`15m\`, \`1h30m\`, \`7d\`. *strings* is a list, or a text
  with commas. *pairs* is an object of texts.
- A field that a path does not know is ignored, with a warning in the answer.
- What goes wrong is told by [these codes](../../errors.md).

${table(['Page', 'Mounted at', 'Paths', 'What it is'], rows)}
`
  return { file: 'docs/reference/api/README.md', text }
}

function roomPage({ file, title, about, prefix, movable, paths }: Room): Page {
  const place = movable ? `\n\nMounted at \`${prefix}\` unless somebody chose another path.` : ''
  const text = `# ${title}

${about}${place}

${paths.map((path) => pathPart(prefix, path)).join('\n\n')}
`
  return { file: `docs/reference/api/${file}.md`, text }
}

function pathPart(prefix: string, path: Path): string {
  const notes = [
    path.unauthenticated && 'Needs no token.',
    path.sudo && 'Needs the `sudo` capability besides.',
    path.exists && 'What is new needs `create`, what is there `update`.',
    path.arbitrary && 'Takes any other fields as well.',
  ].filter((note) => typeof note === 'string')
  const parts = [
    `## \`${prefix}${path.pattern}\``,
    path.about,
    notes.join(' '),
    ...verbs.flatMap((verb) => (path.operations[verb] ? [operationPart(verb, path)] : [])),
  ]
  return parts.filter((part) => part).join('\n\n')
}

function operationPart(verb: Verb, { pattern, operations }: Path): string {
  const { about, fields } = operations[verb]!
  const inPath = new Set(Array.from(pattern.matchAll(/[:*](\w+)/g), ([, name]) => name!))
  const rows = Object.entries(fields).map(([name, field]) => [
    `\`${name}\``,
    kindOf(field),
    defaultOf(field),
    cell([inPath.has(name) && 'In the path.', field.about].filter(Boolean).join(' ')),
  ])
  const head = `**${methodOf(verb)}** ${about}`
  return rows.length === 0 ? head : `${head}\n\n${table(['Field', 'Type', 'Default', 'What it is'], rows)}`
}

function kindOf(field: Field): string {
  const notes = [field.type, ...boundsOf(field)]
  if (field.required) notes.push('required')
  if (field.deprecated) notes.push('deprecated')
  return notes.join(', ')
}

function defaultOf(field: Field): string {
  const value: unknown = 'default' in field ? field.default : undefined
  return value === undefined || value === '' ? '' : `\`${cell(JSON.stringify(value))}\``
}
