/** Help texts, made from the registry and the commands' descriptions. Pure. */
import { allFlags, type Command, fieldFlags, formatFlags, httpFlags } from './command.ts'
import { PREFIXES } from './environment.ts'
import type { Flag, Flags } from './flags.ts'
import type { Entry, Group } from './registry.ts'

const WIDTH = 100

/** @param words  the names so far, e.g. `['kv', 'metadata']`; none for the program itself */
export function groupHelp(words: readonly string[], group: Group): string {
  const name = ['strongroom', ...words].join(' ')
  const head = words.length === 0 ? [] : [wrapped(group.about, ''), '']
  return [
    `Usage: ${name} <${words.length === 0 ? 'command' : 'subcommand'}> [options] [args]`,
    '',
    ...head,
    ...(words.length === 0 ? sections(group) : [`Subcommands:\n${list(Object.entries(group.commands))}`]),
    '',
    `Run "${name} <${words.length === 0 ? 'command' : 'subcommand'}> -help" for the flags and examples of one.`,
  ].join('\n')
}

function sections(group: Group): string[] {
  const entries = Object.entries(group.commands)
  const common = entries.filter(([, entry]) => entry.common)
  const other = entries.filter(([, entry]) => !entry.common)
  return [`Common commands:\n${list([...common, ...server])}`, '', `Other commands:\n${list(other)}`]
}

/** The launcher's own words, which never come here but belong on the list. */
const server: [string, { about: string }][] = [
  ['server', { about: 'Run a server from a configuration file, or with -dev one in memory to try things.' }],
  ['start', { about: 'Run a server of your own in ./strongroom-data: makes, unseals and explains itself.' }],
]

function list(entries: readonly (readonly [string, Pick<Entry, 'about'>])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length))
  return entries.map(([name, { about }]) => `    ${name.padEnd(width)}    ${about}`).join('\n')
}

export function commandHelp(words: readonly string[], about: string, command: Command): string {
  const name = ['strongroom', ...words].join(' ')
  const parts = [
    `Usage: ${name} ${command.usage}`.trimEnd(),
    wrapped(about, '  '),
    ...command.details
      .split('\n\n')
      .filter((each) => each !== '')
      .map((each) => wrapped(each, '  ')),
  ]
  for (const example of command.examples ?? [])
    parts.push(`${wrapped(example.about, '  ')}\n\n      $ ${example.words.replaceAll('\n', '\n        ')}`)
  const taken = allFlags(command)
  const part = (title: string, flags: Flags) => {
    const own = Object.entries(flags).filter(([flag]) => Object.hasOwn(taken, flag))
    if (own.length > 0) parts.push(`${title}:\n\n${own.map(([flag, each]) => flagHelp(flag, each)).join('\n\n')}`)
  }
  part('Command Options', command.flags)
  if (command.output !== 'none')
    part('Output Options', { ...(command.output === 'field' ? fieldFlags : {}), ...formatFlags })
  if (!command.offline) part('HTTP Options', httpFlags)
  return parts.join('\n\n')
}

const kinds: Record<Flag['type'], string> = {
  string: '<text>',
  boolean: '',
  integer: '<number>',
  duration: '<duration>',
  list: '<text>',
  pairs: '<name=value>',
}

function flagHelp(name: string, flag: Flag): string {
  const names = [name, ...(flag.aliases ?? [])].map((each) => `-${each}`)
  const value =
    flag.type === 'boolean'
      ? ''
      : `=${flag.type === 'string' && flag.choices ? `<${flag.choices.join('|')}>` : kinds[flag.type]}`
  const fallback =
    'default' in flag && flag.default !== '' && flag.default !== false ? ` The default is ${String(flag.default)}.` : ''
  const variable = flag.variable ? ` Also ${PREFIXES.map((prefix) => `${prefix}_${flag.variable}`).join(', ')}.` : ''
  return `  ${names.join(', ')}${value}\n${wrapped(flag.about + fallback + variable, '      ')}`
}

/** A paragraph in lines of at most WIDTH characters, each behind the indent. */
function wrapped(text: string, indent: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    if (line !== '' && indent.length + line.length + 1 + word.length > WIDTH) {
      lines.push(indent + line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, indent + line].join('\n')
}
