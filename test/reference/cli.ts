/** The reference of the command line, made of the registry and of what each command says of itself. */
import { serverFlags } from '#boot/server.ts'
import { startFlags } from '#boot/start.ts'
import type { FlagSpec } from '#boot/flags.ts'
import { type Command, formatFlags, fieldFlags, httpFlags } from '#cli/command.ts'
import { PREFIXES } from '#cli/environment.ts'
import type { Flags } from '#cli/flags.ts'
import { isGroup, type Entry, type Leaf, root } from '#cli/registry.ts'
import { cell, type Page, table } from './page.ts'

interface Told {
  words: string
  about: string
  command: Command
}

/** Variables without a flag, by the name behind the prefix. */
const variables: Readonly<Record<string, string>> = {
  TOKEN: 'The token. Without it, the one that `strongroom login` wrote to `~/.vault-token`.',
  CLIENT_TIMEOUT: 'How long one request may take. The default is 60s.',
  MAX_RETRIES: 'How often a request is tried again when the server answers with an error of its own. The default is 0.',
  CLI_NO_COLOR: 'Anything: no colours. `NO_COLOR` does the same.',
}

const server: Readonly<Record<string, { about: string; flags: Readonly<Record<string, FlagSpec>> }>> = {
  server: { about: 'Run a server from a configuration file, or with `-dev` one in memory.', flags: serverFlags },
  start: { about: 'Run a server of your own that makes, unseals and explains itself.', flags: startFlags },
}

export async function cliPage(): Promise<Page> {
  const commands = (await Promise.all(leaves([], root).map(load))).toSorted((a, b) => (a.words < b.words ? -1 : 1))
  const rows = commands.map(({ words, about }) => [`[${words}](#${anchor(words)})`, cell(about)])
  const servers = Object.keys(server).map((name) => [`[${name}](#strongroom-${name})`, cell(server[name]!.about)])
  const text = `# The command line

Every command and flag, made from the same descriptions as \`strongroom COMMAND -help\`. Flags have one dash or two, and their
value behind \`=\` or as the next word. They may also stand behind the arguments; \`--\` ends them.

The exit code is 0 for success, 1 for a mistake on this side (flags, files, input), 2 for what the server refused or could not
do, and for a server that cannot be reached; where a command means something else by them, it says so. For a command that
does not exist it is 127.

What takes longer than two seconds is told on standard error if that is a terminal (and \`TERM\` is not \`dumb\`), in a line that goes away.

${table(['Command', 'What it does'], [...servers, ...rows])}

## Variables

Each begins with ${PREFIXES.map((each) => `\`${each}_\``).join(', ')}; the first that is set counts. A flag wins over them.

${table(['Name behind the prefix', 'Flag', 'What it is'], variableRows(commands))}

## Flags of commands that talk to a server

${flagTable({ ...httpFlags })}

## Flags of commands that print

\`-format\` is taken by all of them, \`-field\` where it is said.

${flagTable({ ...formatFlags, ...fieldFlags })}

## Commands

${[...Object.entries(server).map(serverPart), ...commands.map(commandPart)].join('\n\n')}
`
  return { file: 'docs/reference/cli.md', text }
}

function leaves(path: readonly string[], entry: Entry): { words: string; leaf: Leaf }[] {
  if (!isGroup(entry)) return [{ words: path.join(' '), leaf: entry }]
  return Object.entries(entry.commands).flatMap(([name, each]) => leaves([...path, name], each))
}

async function load({ words, leaf }: { words: string; leaf: Leaf }): Promise<Told> {
  return { words, about: leaf.about, command: await leaf.load() }
}

const anchor = (words: string) => `strongroom-${words.replaceAll(' ', '-')}`

function variableRows(commands: readonly Told[]): string[][] {
  const flags = Object.entries(
    Object.assign({}, ...commands.map(({ command }) => command.flags), httpFlags, formatFlags) as Flags,
  )
  const ofFlags = flags.flatMap(([name, { variable, about }]) =>
    variable === undefined ? [] : [[`\`${variable}\``, `\`-${name}\``, cell(about)]],
  )
  const others = Object.entries(variables)
    .filter(([name]) => !flags.some(([, { variable }]) => variable === name))
    .map(([name, about]) => [`\`${name}\``, '', cell(about)])
  return [...ofFlags, ...others].toSorted(([a], [b]) => (a! < b! ? -1 : 1))
}

function flagTable(flags: Flags): string {
  const rows = Object.entries(flags).map(([name, flag]) => {
    const fallback =
      'default' in flag && flag.default !== '' && flag.default !== false ? `\`${String(flag.default)}\`` : ''
    const kind =
      flag.type === 'string' && flag.choices ? flag.choices.filter((each) => each !== '').join(', ') : flag.type
    const names = [name, ...(flag.aliases ?? [])].map((each) => `\`-${each}\``).join(', ')
    return [names, kind, fallback, cell(flag.about)]
  })
  return table(['Flag', 'Type', 'Default', 'What it is'], rows)
}

function serverPart([name, { about, flags }]: [string, (typeof server)[string]]): string {
  const rows = Object.entries(flags).map(([flag, { kind, about: text }]) => [`\`-${flag}\``, kind, cell(text)])
  return `### strongroom ${name}\n\n${about}\n\n${table(['Flag', 'Type', 'What it is'], rows)}`
}

function commandPart({ words, about, command }: Told): string {
  const examples = (command.examples ?? []).map(
    ({ about: text, words: line }) => `${text}\n\n    ${line.replaceAll('\n', '\n    ')}`,
  )
  const shared = [
    !command.offline && 'those for talking to a server',
    command.output !== 'none' && '`-format`',
    command.output === 'field' && '`-field`',
  ].filter(Boolean)
  const parts = [
    `### strongroom ${words}`,
    `    strongroom ${words} ${command.usage}`.trimEnd(),
    about,
    command.details.replaceAll('<', '&lt;'),
    ...examples,
    Object.keys(command.flags).length > 0 && flagTable(command.flags),
    shared.length > 0 && `Takes ${shared.join(', ')} as well.`,
  ]
  return parts.filter((part) => part).join('\n\n')
}
