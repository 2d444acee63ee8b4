/** Headers that answers of a listener have besides: `custom_response_headers` and `cors_…` of its stanza. */
import { corsRules } from '#core/settings/cors.ts'
import { isHeaderName, isHeaderValue, isOwnHeader } from '#core/settings/header.ts'
import type { CrossOrigin } from '#http/cross-origin.ts'
import type { ResponseHeaders } from '#http/response-headers.ts'
import { ApiError } from '#sdk/errors.ts'
import { isObject } from '#sdk/schema.ts'
import { booleanOption, ConfigError, type Stanza } from './config.ts'

/** Names and values by status. @throws ConfigError for what no answer could have */
export function responseHeaders(stanza: Stanza): ResponseHeaders | undefined {
  const headers: Record<string, [string, string][]> = {}
  for (const [place, pairs] of Object.entries(written(stanza))) {
    if (!/^(?:default|[1-5]xx|[1-5]\d\d)$/.test(place)) {
      throw refused(stanza, `${place} is no status: use default, a class such as 4xx, or a status such as 404`)
    }
    if (!isObject(pairs)) throw refused(stanza, `${place} holds headers and their values`)
    headers[place] = Object.entries(pairs).map(([name, value]) => [nameOf(stanza, name), valueOf(stanza, name, value)])
  }
  return Object.keys(headers).length > 0 ? headers : undefined
}

/** As the reader of configurations hands a block on: JSON text, of a block that is repeated a list. */
function written({ options }: Stanza): Record<string, unknown> {
  const text = options['custom_response_headers']
  if (text === undefined) return {}
  const parsed: unknown = JSON.parse(text)
  const places = (Array.isArray(parsed) ? parsed : [parsed]).filter(isObject)
  return Object.assign({}, ...places) as Record<string, unknown>
}

function nameOf(stanza: Stanza, name: string): string {
  if (/^x-vault-/i.test(name)) throw refused(stanza, `names that begin with X-Vault- are the server's own: ${name}`)
  if (isOwnHeader(name)) throw refused(stanza, `${name} is the server's own`)
  if (!isHeaderName(name)) throw refused(stanza, `${JSON.stringify(name)} is not the name of a header`)
  return name
}

function valueOf(stanza: Stanza, name: string, value: unknown): string {
  const parts = (Array.isArray(value) ? value : [value]).filter((each) => typeof each === 'string')
  const text = parts.join('; ')
  if (parts.length === 0 || !isHeaderValue(text)) throw refused(stanza, `${name} has no value that a header may have`)
  return text
}

/** Who may ask by the stanza alone, where `sys/config/cors` says nothing. @throws ConfigError */
export function listenerCors(stanza: Stanza): CrossOrigin | undefined {
  if (!booleanOption(stanza, 'cors_enabled')) return undefined
  try {
    return corsRules(list(stanza, 'cors_allowed_origins'), list(stanza, 'cors_allowed_headers'))
  } catch (error) {
    if (error instanceof ApiError)
      throw new ConfigError(`${stanza.at}: listener "${stanza.type}": cors: ${error.message}`)
    throw error
  }
}

function list({ options }: Stanza, name: string): string[] {
  const text = options[name] ?? ''
  const parts: unknown = text.startsWith('[') ? JSON.parse(text) : text.split(',')
  return (parts as unknown[]).map((each) => String(each).trim()).filter((each) => each !== '')
}

function refused({ type, at }: Stanza, message: string): ConfigError {
  return new ConfigError(`${at}: listener "${type}": custom_response_headers: ${message}`)
}
