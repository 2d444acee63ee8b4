/** `kv search` and `kv expiring`: listings that go on page by page until they are complete, or long enough. */
import type { Session } from '#cli/session.ts'
import { command } from '#cli/command.ts'
import { attempt, CommandFailure, EXIT_OK, EXIT_REMOTE } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { locateVersioned, mountFlag } from '#cli/kv.ts'
import type { Output } from '#cli/output.ts'
import { whileTelling } from '#cli/progress.ts'
import { toSecret } from '#cli/secret.ts'
import { plain, table } from '#cli/table.ts'

const DEFAULT_LIMIT = 100
/** One request looks at some 20,000 names: this is far beyond any mount. */
const MAX_PAGES = 10_000

const limitFlag = {
  limit: { type: 'integer', default: DEFAULT_LIMIT, about: 'Stop after so many.' },
} as const

export const search = command({
  usage: '[options] PATH WORD...',
  details:
    'Finds secrets below a path that have all the words in their name, owner or custom metadata. Values are never searched. Only what the token may list or read is found. With -mount, PATH is the folder in it, "" for all.',
  examples: [
    {
      about: 'Everything of production that has to do with databases:',
      words: 'strongroom kv search secret/ database production',
    },
    { about: 'What a team owns:', words: 'strongroom kv search -owner=team-web secret/' },
  ],
  flags: { ...mountFlag, ...limitFlag, owner: { type: 'string', about: 'Only secrets of this owner.' } },
  output: 'format',
  arguments: { min: 1, max: Infinity },
  async run({ flags, arguments: [place, ...words], session, output }) {
    const path = (await locateVersioned(session, flags.mount, place!, 'Search')).path('search')
    const query = { query: words.join(' '), owner: flags.owner }
    const found = await gather(session, `Error searching ${path}`, path, query, flags.limit)
    return await print(output, found, `No secret found below ${path}`)
  },
})

export const expiring = command({
  usage: '[options] MOUNT',
  details: 'Lists the secrets of a mount that have expired or will soon, the earliest first.',
  examples: [{ about: 'What expires within a week:', words: 'strongroom kv expiring -within=168h secret/' }],
  flags: {
    ...limitFlag,
    within: { type: 'duration', about: 'How far to look ahead. The default is 30 days.' },
  },
  output: 'format',
  arguments: { min: 1, max: 1 },
  async run({ flags, arguments: [place], session, output }) {
    const path = (await locateVersioned(session, undefined, place!, 'Expiry')).path('expiring')
    const found = await gather(session, `Error listing ${path}`, path, { within: flags.within }, flags.limit)
    return await print(output, found, 'No secret expires soon')
  },
})

interface Found {
  keys: string[]
  info: Record<string, unknown>
  /** There is more than was asked for. */
  more: boolean
}

async function gather(
  session: Session,
  what: string,
  path: string,
  query: Record<string, string | undefined>,
  limit: number,
): Promise<Found> {
  const found: Found = { keys: [], info: {}, more: false }
  let [pages, after]: [number, string | undefined] = [0, undefined]
  const nextPage = async (): Promise<string | undefined> => {
    const asked = { ...query, after, limit: String(limit - found.keys.length) }
    const reply = await attempt(what, async () => await session.find('LIST', path, { query: asked }))
    const { keys, key_info: info, next } = (reply && toSecret(reply.json).data) ?? {}
    if (Array.isArray(keys)) found.keys.push(...keys.filter((each) => typeof each === 'string'))
    if (isObject(info)) Object.assign(found.info, info)
    return typeof next === 'string' && next !== '' ? next : undefined
  }
  const allPages = async (): Promise<Found> => {
    for (; pages < MAX_PAGES; pages++) {
      after = await nextPage()
      if (after === undefined) return found
      if (found.keys.length >= limit) break
    }
    return { ...found, more: true }
  }
  return await whileTelling(() => `Looking through ${path}: page ${pages + 1}, ${found.keys.length} found`, allPages)
}

async function print(output: Output, { keys, info, more }: Found, nothing: string): Promise<number> {
  if (output.format !== 'table') {
    await output.data({ keys, key_info: info })
    return keys.length > 0 ? EXIT_OK : EXIT_REMOTE
  }
  if (keys.length === 0) throw new CommandFailure(nothing)
  const of = (key: string, name: string): string => {
    const about = info[key]
    const value = isObject(about) ? about[name] : undefined
    return value === undefined ? '' : plain(value)
  }
  const rows = keys.map((key) => [key, of(key, 'owner'), of(key, 'expires_at'), of(key, 'custom_metadata')])
  output.line(table([['Key', 'Owner', 'Expires', 'Custom metadata'], ...rows]))
  if (more) output.warn(`There are more than these ${keys.length}: see -limit.`)
  return EXIT_OK
}
