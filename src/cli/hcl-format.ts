/**
 * HCL in its usual form: two spaces a level, `=` of neighbouring lines below each other, one blank line between blocks.
 * Comments, order and values stay as they are. Pure; the text must be valid HCL (see lib/hcl).
 */

type Kind = 'newline' | 'comment' | 'text' | 'heredoc' | '{' | '}' | '[' | ']' | '=' | ','

interface Token {
  kind: Kind
  text: string
}

interface Item {
  /** A blank line stood before it. */
  apart: boolean
  /** A comment alone, or `key = value`, or a block with its header in `key`. */
  kind: 'comment' | 'attribute' | 'block'
  key: string
  /** Of an attribute, without the indent of its further lines; of a block nothing. */
  value: string
  items: Item[]
  /** Comment at the end of the line. */
  note: string
}

const INDENT = '  '

export function formatHcl(text: string): string {
  const reader = new Reader(tokenize(text))
  return `${printItems(reader.items(), '', true)}\n`.replace(/^\n+/, '')
}

const tokenPattern =
  /(?<newline>\r?\n)|(?<comment>#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|(?<heredoc><<-?(?<tag>[A-Za-z_]\w*)\r?\n[\s\S]*?\n[ \t]*\k<tag>(?=\r?\n|$))|(?<text>"(?:\\.|\$\{[^}]*\}|[^"\\])*"|[^\s{}[\]=,#"]+)|(?<mark>[{}[\]=,])|[^\S\n]+/g

function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  for (const { groups } of text.matchAll(tokenPattern)) {
    if (!groups) continue
    const { newline, comment, heredoc, text: word, mark } = groups
    if (newline !== undefined) tokens.push({ kind: 'newline', text: '\n' })
    else if (comment !== undefined) tokens.push({ kind: 'comment', text: comment.trimEnd() })
    else if (heredoc !== undefined) tokens.push({ kind: 'heredoc', text: heredoc })
    else if (word !== undefined) tokens.push({ kind: 'text', text: word })
    else if (mark !== undefined) tokens.push({ kind: mark as Kind, text: mark })
  }
  return tokens
}

/** Reads tokens into items. Every loop takes a token, so it ends. */
class Reader {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  /** Up to the closing brace, which is taken, or the end. */
  items(): Item[] {
    const items: Item[] = []
    let breaks = 0
    for (let token = this.#take(); token && token.kind !== '}'; token = this.#take()) {
      if (token.kind === 'newline') breaks += 1
      else if (token.kind !== ',') {
        items.push({ ...this.#item(token), apart: breaks > 1 && items.length > 0 })
        // What ends an item is part of it; the line break after it counts as its own.
        breaks = 0
      }
    }
    return items
  }

  #item(first: Token): Item {
    const empty = { apart: false, key: '', value: '', items: [], note: '' }
    if (first.kind === 'comment') return { ...empty, kind: 'comment', key: first.text }
    const key = [first.text]
    while (this.#peek()?.kind === 'text') key.push(this.#take()!.text)
    if (this.#peek()?.kind === '=') {
      this.#take()
      const token = this.#take()
      if (token?.kind === '{')
        return { ...empty, kind: 'block', key: `${key.join(' ')} =`, items: this.items(), note: this.#note() }
      return {
        ...empty,
        kind: 'attribute',
        key: key.join(' '),
        value: token ? this.#value(token) : '',
        note: this.#note(),
      }
    }
    if (this.#peek()?.kind === '{') this.#take()
    return { ...empty, kind: 'block', key: key.join(' '), items: this.items(), note: this.#note() }
  }

  #value(token: Token): string {
    if (token.kind === '[') return this.#list()
    if (token.kind === '{') return `{\n${printItems(this.items(), INDENT, false)}\n}`
    return token.text
  }

  #list(): string {
    const parts: string[] = []
    let lines = false
    for (let token = this.#take(); token && token.kind !== ']'; token = this.#take()) {
      if (token.kind === 'newline') lines = true
      else if (token.kind === 'comment') {
        lines = true
        parts.push(token.text)
      } else if (token.kind !== ',') parts.push(this.#value(token))
    }
    const isComment = (part: string) => /^(?:#|\/\/|\/\*)/.test(part)
    if (!lines || parts.length === 0) return `[${parts.join(', ')}]`
    return `[\n${parts.map((part) => `${indented(part, INDENT)}${isComment(part) ? '' : ','}`).join('\n')}\n]`
  }

  #note(): string {
    return this.#peek()?.kind === 'comment' ? this.#take()!.text : ''
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at]
  }

  #take(): Token | undefined {
    this.#at += 1
    return this.#tokens[this.#at - 1]
  }
}

function printItems(items: readonly Item[], indent: string, top: boolean): string {
  const widths = alignments(items)
  const lines = items.map((item, at) => {
    const before = items[at - 1]
    // Blocks stand apart at the top; a comment belongs to what follows it.
    const parted =
      top && before !== undefined && (before.kind === 'block' || (item.kind === 'block' && before.kind !== 'comment'))
    return (item.apart || parted ? '\n' : '') + printItem(item, indent, widths[at]!)
  })
  return lines.join('\n')
}

function printItem(item: Item, indent: string, width: number): string {
  const note = item.note === '' ? '' : ` ${item.note}`
  if (item.kind === 'comment') return indented(item.key, indent)
  if (item.kind === 'attribute')
    return `${indent}${item.key.padEnd(width)} = ${indentedRest(item.value, indent)}${note}`
  if (item.items.length === 0) return `${indent}${item.key} {}${note}`
  return `${indent}${item.key} {\n${printItems(item.items, indent + INDENT, false)}\n${indent}}${note}`
}

/** For each item the width of its key: that of the longest of the attributes on the lines right above and below it. */
function alignments(items: readonly Item[]): number[] {
  const widths = items.map(() => 0)
  let start = 0
  for (let at = 0; at <= items.length; at += 1) {
    const item = items[at]
    const goesOn = item?.kind === 'attribute' && !item.apart && !items[at - 1]?.value.includes('\n')
    if (goesOn && at > start) continue
    const run = items.slice(start, at)
    const width = Math.max(0, ...run.filter((each) => each.kind === 'attribute').map((each) => each.key.length))
    widths.fill(width, start, at)
    start = at
  }
  return widths
}

function indented(text: string, indent: string): string {
  return indent + indentedRest(text, indent)
}

/** A heredoc keeps its lines: spaces are part of them. */
function indentedRest(text: string, indent: string): string {
  return text.startsWith('<<') ? text : text.replaceAll('\n', `\n${indent}`)
}
