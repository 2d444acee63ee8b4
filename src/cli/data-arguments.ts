/**
 * Data given as arguments: `key=value`, `key=@file`, `key=-` (standard input), `@file.json` and `-` (JSON from standard
 * input). `key=\@text` is the text `@text`. A key given twice becomes a list. All values are text; JSON is for the rest.
 */
import { CommandFailure, EXIT_LOCAL } from './failure.ts'
import { isObject, parseExact } from './json.ts'
import { readInput } from './prompt.ts'

const MAX_FILE_BYTES = 32 * 1024 * 1024

/** @throws CommandFailure for what is no data; the message never repeats a value */
export async function parseData(words: readonly string[]): Promise<Record<string, unknown>> {
  const data: Record<string, unknown> = {}
  let inputUsed = false
  const input = async () => {
    if (inputUsed) throw failure('standard input can be used only once')
    inputUsed = true
    return await readInput()
  }
  for (const [at, word] of words.entries()) {
    const cut = word.indexOf('=')
    if (word === '-') Object.assign(data, parseObject(await input(), 'standard input'))
    else if (word.startsWith('@') && cut < 0)
      Object.assign(data, parseObject(await readText(word.slice(1)), word.slice(1)))
    else if (cut < 0) throw failure(`argument ${at + 1} of the data is none: expected key=value, @file or -`)
    else if (cut === 0) throw failure('a key is missing before "="')
    else {
      const key = word.slice(0, cut)
      const value = await valueOf(word.slice(cut + 1), input)
      const before = Object.hasOwn(data, key) ? data[key] : undefined
      set(data, key, before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value])
    }
  }
  return data
}

/** Plain assignment would lose a key of the name `__proto__`. */
function set(data: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(data, key, { value, enumerable: true, configurable: true, writable: true })
}

async function valueOf(text: string, input: () => Promise<string>): Promise<string> {
  if (text === '-') return await input()
  if (text.startsWith('@')) return await readText(text.slice(1))
  return text.startsWith('\\@') ? text.slice(1) : text
}

/** A file as text. `~/` is the home directory, as no shell expands it behind `key=@`. */
export async function readText(path: string): Promise<string> {
  const { readFile, stat } = await import('node:fs/promises')
  const { homedir } = await import('node:os')
  const full = path.startsWith('~/') ? `${homedir()}/${path.slice(2)}` : path
  try {
    const { size } = await stat(full)
    if (size > MAX_FILE_BYTES) throw new Error(`${path} is larger than 32 MiB`)
    return await readFile(full, 'utf8')
  } catch (error) {
    throw new CommandFailure(
      `error reading file: ${error instanceof Error ? error.message : String(error)}`,
      EXIT_LOCAL,
      { cause: error },
    )
  }
}

function parseObject(text: string, from: string): Record<string, unknown> {
  let value: unknown
  try {
    value = parseExact(text)
  } catch {
    // The parser's own message would repeat a part of the text, which may be a secret.
    throw failure(`${from} holds no valid JSON`)
  }
  if (!isObject(value)) throw failure(`${from} must hold a JSON object`)
  return value
}

function failure(message: string): CommandFailure {
  return new CommandFailure(`Failed to parse K=V data: ${message}`, EXIT_LOCAL)
}
