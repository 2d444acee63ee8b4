/** A listener's stanza that cannot be used, told with its place. */
import { ConfigError, type Stanza } from './config.ts'

export function refused({ type, at }: Stanza, message: string): ConfigError {
  return new ConfigError(`${at}: listener "${type}": ${message}`)
}

/** A list as one text with commas, or as a list. */
export function listOption({ options }: Stanza, name: string): string[] {
  const text = options[name] ?? ''
  const parts: unknown = text.startsWith('[') ? parseList(text) : text.split(',')
  return (parts as unknown[]).map((each) => String(each).trim()).filter((each) => each !== '')
}

/** Lists of the file come here as JSON; what only looks like one is a single name, and refused for what it is. */
function parseList(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : [text]
  } catch {
    return [text]
  }
}
