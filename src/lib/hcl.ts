/**
 * HCL, version 1, as policies and server configuration are written in it, and the JSON form of the same. Pure.
 *
 * The result keeps order and repetition, since both mean something: two `path "a"` blocks are two statements. What keys
 * are known and what values they may have is the reader's business.
 */
import { HclError, Scanner, type Token } from './hcl/scan.ts'

export type HclValue = string | number | boolean | null | HclValue[] | HclObject

export interface HclItem {
  /** `path "secret/*" { … }` has two: `path` and `secret/*`; an attribute has one. */
  keys: string[]
  value: HclValue
  line: number
  column: number
}

export interface HclObject {
  items: HclItem[]
  /** Written as JSON, where labels of blocks are objects inside objects. */
  json: boolean
}

export type HclResult = { ok: true; value: HclObject } | { ok: false; message: string; line: number; column: number }

/** Characters. A policy has a few thousand, a server's configuration fewer. */
export const MAX_HCL_CHARACTERS = 4 * 1024 * 1024

/** Objects and lists inside each other. */
export const MAX_HCL_DEPTH = 64

/** A text whose first character other than white space is a brace is JSON, as everywhere where both are taken. */
export function parseHcl(text: string): HclResult {
  if (text.length > MAX_HCL_CHARACTERS) return { ok: false, message: 'text is too long', line: 1, column: 1 }
  try {
    const value = /^\uFEFF?\s*\{/.test(text) ? new JsonParser(text).parse() : new NativeParser(text).parse()
    return { ok: true, value }
  } catch (error) {
    if (!(error instanceof HclError)) throw error
    return { ok: false, message: error.message, line: error.line, column: error.column }
  }
}

export interface HclBlock {
  labels: string[]
  body: HclObject
  line: number
  column: number
}

/**
 * Blocks of one name, in order: `listener "tcp" { … }` has one label. In JSON a block may be `{"listener": {"tcp": {…}}}`
 * or have lists anywhere between: `{"listener": [{"tcp": [{…}]}]}`.
 *
 * @param onStray  told of each value of that name that is no block; without it they are left out
 */
export function hclBlocks(
  object: HclObject,
  name: string,
  labelCount: number,
  onStray?: (item: HclItem) => void,
): HclBlock[] {
  const blocks: HclBlock[] = []
  const collect = (item: HclItem, value: HclValue, labels: string[]): void => {
    if (Array.isArray(value)) {
      for (const part of value) collect(item, part, labels)
    } else if (!isHclObject(value)) {
      onStray?.(item)
    } else if (!value.json || labels.length >= labelCount) {
      blocks.push({ labels, body: value, line: item.line, column: item.column })
    } else {
      for (const inner of value.items) collect(inner, inner.value, [...labels, ...inner.keys])
    }
  }
  for (const item of object.items) {
    if (item.keys[0] === name) collect(item, item.value, item.keys.slice(1))
  }
  return blocks
}

/**
 * The value as JSON would have it: objects become records (of a repeated key the last one counts), labels objects inside
 * objects.
 */
export function hclToPlain(value: HclValue): unknown {
  if (Array.isArray(value)) return value.map(hclToPlain)
  if (!isHclObject(value)) return value
  // No prototype, so that a key called `__proto__` is a key like any other.
  const record: Record<string, unknown> = Object.create(null)
  for (const { keys, value: inner } of value.items) {
    record[keys[0]!] = keys.slice(1).reduceRight((body: unknown, label) => ({ [label]: body }), hclToPlain(inner))
  }
  return record
}

export function isHclObject(value: HclValue): value is HclObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What both forms share: one token of look-ahead and the depth. */
class TokenReader {
  readonly #scanner: Scanner
  #held: Token | undefined
  #depth = 0

  constructor(text: string, json: boolean) {
    this.#scanner = new Scanner(text, json)
  }

  next(): Token {
    const token = this.#held ?? this.#scanner.next()
    this.#held = undefined
    return token
  }

  peek(): Token {
    this.#held ??= this.#scanner.next()
    return this.#held
  }

  inside<T>(token: Token, read: () => T): T {
    this.#depth += 1
    if (this.#depth > MAX_HCL_DEPTH) throw new HclError('too many levels', token)
    const value = read()
    this.#depth -= 1
    return value
  }
}

class NativeParser {
  readonly #tokens: TokenReader

  constructor(text: string) {
    this.#tokens = new TokenReader(text, false)
  }

  parse(): HclObject {
    const object = this.#items()
    const token = this.#tokens.next()
    if (token.kind !== 'EOF') throw new HclError(`expected: IDENT | STRING got: ${token.kind}`, token)
    return object
  }

  /** Items up to a closing brace or the end, which is left for the caller. Commas between them are allowed. */
  #items(): HclObject {
    const items: HclItem[] = []
    for (;;) {
      const token = this.#tokens.peek()
      if (token.kind === 'EOF' || token.kind === 'RBRACE') return { items, json: false }
      items.push(this.#item(token))
      if (this.#tokens.peek().kind === 'COMMA') this.#tokens.next()
    }
  }

  #item(first: Token): HclItem {
    const keys: string[] = []
    for (;;) {
      const token = this.#tokens.next()
      if (token.kind === 'IDENT' || token.kind === 'STRING') {
        keys.push(String(token.value))
        continue
      }
      const item = (value: HclValue): HclItem => ({ keys, value, line: first.line, column: first.column })
      if (token.kind === 'LBRACE' && keys.length > 0) return item(this.#object(token))
      if (token.kind === 'ASSIGN' && keys.length === 1) return item(this.#value(this.#tokens.next()))
      if (token.kind === 'ASSIGN' && keys.length > 1) {
        throw new HclError('nested object expected: LBRACE got: ASSIGN', token)
      }
      if (keys.length === 0) throw new HclError(`expected: IDENT | STRING got: ${token.kind}`, token)
      throw new HclError(`key '${keys.join(' ')}' expected start of object ('{') or assignment ('=')`, token)
    }
  }

  #value(token: Token): HclValue {
    switch (token.kind) {
      case 'STRING':
      case 'HEREDOC':
      case 'NUMBER':
      case 'BOOL':
        return token.value
      case 'LBRACE':
        return this.#object(token)
      case 'LBRACK':
        return this.#list(token)
      case 'EOF':
      case 'IDENT':
      case 'NULL':
      case 'RBRACE':
      case 'RBRACK':
      case 'COMMA':
      case 'ASSIGN':
      case 'COLON':
        throw new HclError(`Unknown token: ${token.line}:${token.column} ${token.kind} ${token.text}`, token)
    }
  }

  #object(open: Token): HclObject {
    const object = this.#tokens.inside(open, () => this.#items())
    const close = this.#tokens.next()
    if (close.kind !== 'RBRACE') throw new HclError(`object expected closing RBRACE got: ${close.kind}`, close)
    return object
  }

  #list(open: Token): HclValue[] {
    return this.#tokens.inside(open, () => {
      const values: HclValue[] = []
      for (;;) {
        const token = this.#tokens.next()
        if (token.kind === 'RBRACK') return values
        values.push(this.#value(token))
        const after = this.#tokens.next()
        if (after.kind === 'RBRACK') return values
        if (after.kind !== 'COMMA') {
          throw new HclError(`error parsing list, expected comma or list end, got: ${after.kind}`, after)
        }
      }
    })
  }
}

class JsonParser {
  readonly #tokens: TokenReader

  constructor(text: string) {
    this.#tokens = new TokenReader(text, true)
  }

  parse(): HclObject {
    const object = this.#object(this.#expect('LBRACE'))
    this.#expect('EOF')
    return object
  }

  #expect(kind: Token['kind']): Token {
    const token = this.#tokens.next()
    if (token.kind !== kind) throw new HclError(`expected: ${kind} got: ${token.kind}`, token)
    return token
  }

  #object(open: Token): HclObject {
    return this.#tokens.inside(open, () => {
      const items: HclItem[] = []
      if (this.#tokens.peek().kind === 'RBRACE') {
        this.#tokens.next()
        return { items, json: true }
      }
      for (;;) {
        const key = this.#expect('STRING')
        this.#expect('COLON')
        const value = this.#value(this.#tokens.next())
        items.push({ keys: [String(key.value)], value, line: key.line, column: key.column })
        const after = this.#tokens.next()
        if (after.kind === 'RBRACE') return { items, json: true }
        if (after.kind !== 'COMMA') throw new HclError(`object expected closing RBRACE got: ${after.kind}`, after)
      }
    })
  }

  #value(token: Token): HclValue {
    switch (token.kind) {
      case 'STRING':
      case 'NUMBER':
      case 'BOOL':
      case 'NULL':
        return token.value
      case 'LBRACE':
        return this.#object(token)
      case 'LBRACK':
        return this.#list(token)
      case 'EOF':
      case 'IDENT':
      case 'HEREDOC':
      case 'RBRACE':
      case 'RBRACK':
      case 'COMMA':
      case 'ASSIGN':
      case 'COLON':
        throw new HclError(`unexpected token: ${token.kind}`, token)
    }
  }

  #list(open: Token): HclValue[] {
    return this.#tokens.inside(open, () => {
      const values: HclValue[] = []
      for (;;) {
        const token = this.#tokens.next()
        if (token.kind === 'RBRACK') return values
        values.push(this.#value(token))
        const after = this.#tokens.next()
        if (after.kind === 'RBRACK') return values
        if (after.kind !== 'COMMA') {
          throw new HclError(`error parsing list, expected comma or list end, got: ${after.kind}`, after)
        }
      }
    })
  }
}
