/**
 * Splits HCL (version 1) or the JSON form of it into tokens, each with its place in the text. Pure.
 *
 * Token names in messages are those that users of HCL know from other programs (LBRACE, ASSIGN, IDENT).
 */

export type TokenKind =
  | 'EOF'
  | 'IDENT'
  | 'STRING'
  | 'HEREDOC'
  | 'NUMBER'
  | 'BOOL'
  | 'NULL'
  | 'LBRACE'
  | 'RBRACE'
  | 'LBRACK'
  | 'RBRACK'
  | 'COMMA'
  | 'ASSIGN'
  | 'COLON'

export interface Token {
  kind: TokenKind
  /** As it stands in the text. */
  text: string
  /** What it means: unescaped text, a number, a truth value. */
  value: string | number | boolean | null
  line: number
  column: number
}

/** Thrown inside lib/hcl only; parseHcl turns it into its answer. */
export class HclError extends Error {
  readonly line: number
  readonly column: number

  constructor(message: string, at: { line: number; column: number }) {
    super(message)
    this.line = at.line
    this.column = at.column
  }
}

const punctuation: Record<string, TokenKind | undefined> = {
  '{': 'LBRACE',
  '}': 'RBRACE',
  '[': 'LBRACK',
  ']': 'RBRACK',
  ',': 'COMMA',
  '=': 'ASSIGN',
}

// Sticky, so that each is tried exactly where the scanner stands. None can backtrack more than one step per character.
const blanks = /[ \t\r\n]+/y
const identifier = /[\p{L}_][\p{L}\p{Nd}_.-]*/uy
const number = /-?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)/y
const jsonNumber = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const heredocStart = /<<(-?)([\p{L}\p{Nd}_]+)\r?\n/uy
const plainText = /[^"\\$\n{}]+/y

const simpleEscapes: Record<string, string | undefined> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
}

export class Scanner {
  readonly #text: string
  readonly #json: boolean
  #at: number
  #line = 1
  #lineStart = 0

  constructor(text: string, json: boolean) {
    this.#text = text
    this.#json = json
    // A byte order mark is no part of the first key.
    this.#at = text.startsWith('\uFEFF') ? 1 : 0
  }

  next(): Token {
    this.#skip()
    const start = this.#at
    const place = this.#place(start)
    const character = this.#text[start]
    if (character === undefined) return { kind: 'EOF', text: '', value: null, ...place }
    const make = (kind: TokenKind, value: Token['value']): Token => {
      return { kind, text: this.#text.slice(start, this.#at), value, ...place }
    }
    const mark = character === ':' && this.#json ? 'COLON' : punctuation[character]
    if (mark !== undefined && !(this.#json && mark === 'ASSIGN')) {
      this.#at += 1
      return make(mark, character)
    }
    if (character === '"') return make('STRING', this.#string())
    if (character === '<' && !this.#json) return make('HEREDOC', this.#heredoc())
    const digits = this.#match(this.#json ? jsonNumber : number)
    if (digits !== undefined) return make('NUMBER', this.#number(digits, place))
    const word = this.#match(identifier)
    if (word === 'true' || word === 'false') return make('BOOL', word === 'true')
    if (word === 'null' && this.#json) return make('NULL', null)
    if (word !== undefined && !this.#json) return make('IDENT', word)
    throw new HclError('illegal character', place)
  }

  #place(offset: number): { line: number; column: number } {
    return { line: this.#line, column: offset - this.#lineStart + 1 }
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (!match) return undefined
    this.#at = pattern.lastIndex
    return match[0]
  }

  /** Count the line breaks of what was passed since `from`. */
  #countLines(from: number): void {
    for (let at = this.#text.indexOf('\n', from); at >= 0 && at < this.#at; at = this.#text.indexOf('\n', at + 1)) {
      this.#line += 1
      this.#lineStart = at + 1
    }
  }

  #skip(): void {
    for (;;) {
      const start = this.#at
      this.#match(blanks)
      if (!this.#json) this.#comment()
      if (this.#at === start) return
      this.#countLines(start)
    }
  }

  #comment(): void {
    if (this.#text[this.#at] === '#' || this.#text.startsWith('//', this.#at)) {
      const end = this.#text.indexOf('\n', this.#at)
      this.#at = end < 0 ? this.#text.length : end
    } else if (this.#text.startsWith('/*', this.#at)) {
      const end = this.#text.indexOf('*/', this.#at + 2)
      if (end < 0) throw new HclError('comment not terminated', this.#place(this.#at))
      this.#at = end + 2
    }
  }

  #number(text: string, place: { line: number; column: number }): number {
    const digits = text.startsWith('-') ? text.slice(1) : text
    let value = Number(digits)
    // A zero in front means octal, as in file modes.
    if (/^0\d+$/.test(digits)) value = /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN
    if (!Number.isFinite(value)) throw new HclError('illegal number', place)
    return text.startsWith('-') ? -value : value
  }

  /**
   * A quoted text. `${…}` is kept as it is: quotes and line breaks inside it belong to the text, and what it would stand
   * for is the business of whoever reads the value.
   */
  #string(): string {
    const start = this.#at
    const opened = this.#place(start)
    const parts: string[] = []
    let braces = 0
    this.#at += 1
    for (;;) {
      const plain = this.#match(plainText)
      if (plain !== undefined) parts.push(plain)
      const character = this.#text[this.#at]
      if (character === undefined) throw new HclError('literal not terminated', opened)
      if (character === '"' && braces === 0) break
      if (character === '\n' && braces === 0) throw new HclError('literal not terminated', opened)
      if (character === '\\' && braces === 0) {
        parts.push(this.#escape(opened))
        continue
      }
      if (character === '$' && braces === 0 && !this.#json && this.#text[this.#at + 1] === '{') {
        braces = 1
        parts.push('${')
        this.#at += 2
        continue
      }
      if (braces > 0 && character === '{') braces += 1
      if (braces > 0 && character === '}') braces -= 1
      parts.push(character)
      this.#at += 1
    }
    this.#at += 1
    this.#countLines(start)
    return parts.join('')
  }

  #escape(opened: { line: number; column: number }): string {
    const letter = this.#text[this.#at + 1] ?? ''
    const simple = this.#json && letter === '/' ? '/' : simpleEscapes[letter]
    if (simple !== undefined && !(this.#json && (letter === 'a' || letter === 'v'))) {
      this.#at += 2
      return simple
    }
    const rest = this.#text.slice(this.#at + 1, this.#at + 10)
    const code = this.#json
      ? /^u([0-9a-fA-F]{4})/.exec(rest)
      : /^(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2}))/.exec(rest)
    const octal = this.#json ? null : /^[0-7]{3}/.exec(rest)
    const point = octal
      ? Number.parseInt(octal[0], 8)
      : Number.parseInt(code?.[1] ?? code?.[2] ?? code?.[3] ?? 'none', 16)
    if (!(point <= 0x10ffff)) throw new HclError('illegal char escape', opened)
    this.#at += 1 + (octal ?? code)![0].length
    return String.fromCodePoint(point)
  }

  #heredoc(): string {
    const opened = this.#place(this.#at)
    const start = this.#at
    heredocStart.lastIndex = start
    const head = heredocStart.exec(this.#text)
    if (!head) throw new HclError('heredoc not started by an anchor and a line break', opened)
    const anchor = head[2]!
    const lines: string[] = []
    let at = heredocStart.lastIndex
    for (;;) {
      const end = this.#text.indexOf('\n', at)
      const line = this.#text.slice(at, end < 0 ? this.#text.length : end)
      if (line.trim() === anchor) {
        this.#at = at + line.trimEnd().length
        this.#countLines(start)
        return joinHeredoc(lines, head[1] === '-' ? line.slice(0, line.indexOf(anchor)) : '')
      }
      if (end < 0) throw new HclError('heredoc not terminated', opened)
      lines.push(line)
      at = end + 1
    }
  }
}

/** With `<<-` the indentation of the closing anchor is taken from every line, if every line has it. */
function joinHeredoc(lines: readonly string[], indentation: string): string {
  const cut = lines.every((line) => line.startsWith(indentation)) ? indentation.length : 0
  return lines.map((line) => `${line.slice(cut)}\n`).join('')
}
