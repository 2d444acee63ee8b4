/** What is handed to others must hold no secret, whatever a server put into its answers. Pure. */
import { isObject } from './json.ts'

const BLANK = '<left out>'

/** Names whose values may be secrets. Names of files are none. */
const secretName = /token|secret|passw|passphrase|private_?key|api_?key|unseal|share|credential/i

/** Tokens of this API, wherever they stand. */
const tokens = /\b(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}/g

export function blankSecrets(value: unknown, name = ''): unknown {
  if (typeof value === 'string') return isSecret(name) && value !== '' ? BLANK : blankTokens(value)
  if (Array.isArray(value)) return value.map((each) => blankSecrets(each, name))
  if (isObject(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, blankSecrets(each, key)]))
  }
  return value
}

export function blankTokens(text: string): string {
  return text.replaceAll(tokens, BLANK)
}

function isSecret(name: string): boolean {
  return secretName.test(name) && !/_(?:file|path|ttl|name|type)$/i.test(name)
}
