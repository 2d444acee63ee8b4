/**
 * What could come next on a command line that somebody types: names of commands, flags, values of flags, paths on the
 * server. A shell asks by calling the program with the line in COMP_LINE (`complete -C`, as the Vault CLI has it).
 */
import { allFlags, type Command, type HttpFlags } from './command.ts'
import { authMounts, devices, kvPaths, mounts, paths, policies } from './complete-remote.ts'
import { type Flag, parseFlags } from './flags.ts'
import { type Entry, isGroup, type Leaf, root } from './registry.ts'
import { Session } from './session.ts'

/** The launcher's own words. */
const LAUNCHED = ['server', 'start']
/** Somebody waits with a finger on the key. */
const PATIENCE_MS = 1500

/**
 * @param line  up to the cursor, with the name of the program
 * @param word  what the shell takes for the word at the cursor; bash breaks words at `=`
 * @returns with a space behind what is whole: not behind a folder, nor behind a flag that needs a value
 */
export async function complete(line: string, word?: string): Promise<string[]> {
  const found = await choices(line, word)
  return found.map((each) => (/[/=]$/.test(each) ? each : `${each} `))
}

async function choices(line: string, shellWord: string | undefined): Promise<string[]> {
  const words = split(line)
  const last = words.pop() ?? ''
  let entry: Entry = root
  let depth = 1
  while (isGroup(entry) && depth < words.length) {
    const word = words[depth]!
    const next: Entry | undefined = Object.hasOwn(entry.commands, word) ? entry.commands[word] : undefined
    if (!next) return []
    entry = next
    depth += 1
  }
  if (!isGroup(entry))
    return await ofLeaf(entry, { path: words.slice(1, depth), before: words.slice(depth), last, shellWord })
  const names = [...Object.keys(entry.commands), ...(depth === 1 ? LAUNCHED : [])]
  return beginning(names.toSorted(), last)
}

interface Typed {
  /** Name of the command. */
  path: string[]
  before: string[]
  last: string
  shellWord: string | undefined
}

async function ofLeaf(leaf: Leaf, { path, before, last, shellWord }: Typed): Promise<string[]> {
  const command = await leaf.load()
  const flags = allFlags(command)
  const valued = /^--?([a-z-]+)=(.*)$/.exec(last)
  if (valued) {
    const values = beginning(valuesOf(flagOf(flags, valued[1]!)), valued[2]!)
    const head = shellWord === last ? last.slice(0, last.indexOf('=') + 1) : ''
    return values.map((value) => head + value)
  }
  if (last.startsWith('-')) {
    const names = Object.entries(flags).map(([name, flag]) => `-${name}${flag.type === 'boolean' ? '' : '='}`)
    const dashed = last.startsWith('--') ? names.map((name) => `-${name}`) : names
    return beginning([...dashed, last.startsWith('--') ? '--help' : '-help'].toSorted(), last)
  }
  const asked = /^--?([a-z-]+)$/.exec(before.at(-1) ?? '')
  const flag = asked && flagOf(flags, asked[1]!)
  if (flag && flag.type !== 'boolean') return beginning(valuesOf(flag), last)
  return await ofServer(command, path, before, last)
}

/**
 * What a shell takes as it stands. Names on the server were chosen by others: none of them may become a command on the line
 * of somebody who presses the tab key, or move the cursor.
 */
const plainName = /^[\p{L}\p{N}_@%+=:,./-]+$/u

/** Only the first argument is a path, or a name that lies at one. */
async function ofServer(command: Command, path: string[], before: string[], last: string): Promise<string[]> {
  const what = completions[path.join(' ')]
  if (what === undefined || command.offline) return []
  try {
    const parsed = parseFlags(allFlags(command), before)
    if (parsed.arguments.length > 0) return []
    const session = new Session(parsed.flags as unknown as HttpFlags, parsed.given, PATIENCE_MS)
    try {
      const names = await what(session, last, parsed.flags as Record<string, unknown>)
      return beginning(names.filter((name) => plainName.test(name)).toSorted(), last)
    } finally {
      await session.close()
    }
  } catch {
    // No server, no token, a flag that is not finished: there is nothing to say, and a line to leave whole.
    return []
  }
}

/** By the name of the command: what its first argument can be. */
const completions: Record<string, typeof mounts> = {
  read: paths,
  write: paths,
  patch: paths,
  delete: paths,
  list: paths,
  'path-help': paths,
  'kv get': kvPaths,
  'kv put': kvPaths,
  'kv patch': kvPaths,
  'kv delete': kvPaths,
  'kv undelete': kvPaths,
  'kv destroy': kvPaths,
  'kv rollback': kvPaths,
  'kv undo': kvPaths,
  'kv list': kvPaths,
  'kv metadata get': kvPaths,
  'kv metadata put': kvPaths,
  'kv metadata patch': kvPaths,
  'kv metadata delete': kvPaths,
  'secrets disable': mounts,
  'secrets tune': mounts,
  'secrets move': mounts,
  'auth disable': authMounts,
  'auth tune': authMounts,
  'auth move': authMounts,
  'auth help': authMounts,
  'audit disable': devices,
  'policy read': policies,
  'policy delete': policies,
}

function flagOf(flags: Readonly<Record<string, Flag>>, name: string): Flag | undefined {
  return flags[name] ?? Object.values(flags).find((flag) => flag.aliases?.includes(name))
}

function valuesOf(flag: Flag | undefined): string[] {
  if (flag?.type === 'boolean') return ['true', 'false']
  return flag?.type === 'string' ? [...(flag.choices ?? [])] : []
}

function beginning(words: readonly string[], start: string): string[] {
  return words.filter((word) => word.startsWith(start))
}

/** At spaces outside quotes, which are dropped. */
function split(line: string): string[] {
  const words: string[] = []
  let word = ''
  let quote = ''
  for (const letter of line) {
    if (quote === '' && /\s/.test(letter)) {
      if (word !== '') words.push(word)
      word = ''
    } else if (quote === '' && /["']/.test(letter)) quote = letter
    else if (letter === quote) quote = ''
    else word += letter
  }
  return [...words, word]
}
