/**
 * The command line: finds the command, parses its flags, runs it, and says in plain words what went wrong.
 * `server` and `start` never come here: the launcher hands them to the server itself.
 */
import { statSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { EXIT_LOCAL, EXIT_OK, EXIT_UNKNOWN_COMMAND } from './failure.ts'
import { type Entry, isGroup, type Leaf, root } from './registry.ts'

/** Words that may be nested: `kv metadata get`. */
const MAX_DEPTH = 4

// A reader that has seen enough (`| head -1`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) =>
  process.exit(error.code === 'EPIPE' ? EXIT_OK : EXIT_LOCAL),
)

keepCompiledCode()
process.exitCode =
  process.env['COMP_LINE'] === undefined ? await main(process.argv.slice(2)) : await suggest(process.env['COMP_LINE'])

/**
 * Compiled code is kept between runs: most of the time a command takes goes into reading its own code. It lies in a
 * directory of the user's own, since whoever may write there decides what this program does, and a home directory that is
 * not there is not made: daemons often have one that must not be.
 */
function keepCompiledCode(): void {
  if (process.env['NODE_DISABLE_COMPILE_CACHE'] || process.env['NODE_COMPILE_CACHE']) return
  const cache = process.env['XDG_CACHE_HOME']
  const base = statSync(cache || homedir(), { throwIfNoEntry: false })
  if (!base?.isDirectory() || base.uid !== process.getuid?.()) return
  enableCompileCache(join(cache || join(homedir(), '.cache'), 'strongroom'))
}

async function main(words: readonly string[]): Promise<number> {
  const path: string[] = []
  let entry: Entry = root
  while (isGroup(entry) && path.length < MAX_DEPTH) {
    const word = words[path.length]
    if (word === undefined || word.startsWith('-')) return await explainGroup(path, entry, word)
    const next: Entry | undefined = Object.hasOwn(entry.commands, word) ? entry.commands[word] : undefined
    if (!next) return await unknownCommand(path, entry, word)
    path.push(word)
    entry = next
  }
  return isGroup(entry)
    ? await explainGroup(path, entry, undefined)
    : await runLeaf(path, entry, words.slice(path.length))
}

/** A shell asks what could come next (`complete -C`); nothing that goes wrong may show on the line that somebody types. */
async function suggest(line: string): Promise<number> {
  const { complete } = await import('./complete.ts')
  const point = Number(process.env['COMP_POINT'] ?? line.length)
  // The shell hands over the program's name, the word at the cursor and the one before.
  const words = await complete(Buffer.from(line).subarray(0, point).toString(), process.argv[3])
  process.stdout.write(words.map((word) => `${word}\n`).join(''))
  return EXIT_OK
}

async function runLeaf(path: readonly string[], leaf: Leaf, words: readonly string[]): Promise<number> {
  const { run } = await import('./run.ts')
  return await run(path, leaf, words)
}

async function explainGroup(path: readonly string[], entry: Entry, word: string | undefined): Promise<number> {
  if (path.length === 0 && /^--?(v|version)$/.test(word ?? ''))
    return await runLeaf(['version'], root.commands['version'] as Leaf, [])
  const completion = /^--?autocomplete-(install|uninstall)$/.exec(path.length === 0 ? (word ?? '') : '')
  if (completion) return await runLeaf(['completion'], root.commands['completion'] as Leaf, [completion[1]!])
  const { groupHelp } = await import('./help.ts')
  const asked = /^--?(h|help)$/.test(word ?? '')
  const stream = asked ? process.stdout : process.stderr
  if (isGroup(entry)) stream.write(`${groupHelp(path, entry)}\n`)
  if (asked) return EXIT_OK
  if (word !== undefined) {
    const { complain } = await import('./output.ts')
    complain(`\nFlags come after the command: "${['strongroom', ...path].join(' ')} COMMAND ${word.split('=')[0]}…"`)
  }
  return path.length === 0 ? EXIT_UNKNOWN_COMMAND : EXIT_LOCAL
}

async function unknownCommand(path: readonly string[], entry: Entry, word: string): Promise<number> {
  const [{ complain }, { nearest }] = await Promise.all([import('./output.ts'), import('./suggest.ts')])
  const names = isGroup(entry) ? Object.keys(entry.commands) : []
  const near = nearest(word, path.length === 0 ? [...names, 'server', 'start'] : names)
  const program = ['strongroom', ...path].join(' ')
  complain(
    `"${word}" is no command of "${program}".${near ? ` Did you mean "${program} ${near}"?` : ''}\nRun "${program} -help" for a list of them.`,
  )
  return path.length === 0 ? EXIT_UNKNOWN_COMMAND : EXIT_LOCAL
}
