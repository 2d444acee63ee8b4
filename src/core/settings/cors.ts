/**
 * Which pages of other origins may ask (the CORS protocol of the Fetch standard).
 * Storage: `cors` → CorsRules; none while it is off.
 */
import { ApiError } from '#sdk/errors.ts'
import type { Storage } from '#sdk/storage.ts'
import { isHeaderName } from './header.ts'

export interface CorsRules {
  /** As browsers send them, or `*` alone. */
  origins: readonly string[]
  /** Headers that such requests may carry. */
  headers: readonly string[]
}

/** What clients of this API send in any case. */
export const usualHeaders: readonly string[] = [
  'Content-Type',
  'X-Requested-With',
  'X-Vault-AWS-IAM-Server-ID',
  'X-Vault-MFA',
  'X-Vault-No-Request-Forwarding',
  'X-Vault-Wrap-Format',
  'X-Vault-Wrap-TTL',
  'X-Vault-Policy-Override',
  'Authorization',
  'X-Vault-Token',
]

const MAX_ORIGINS = 1000
const MAX_HEADERS = 200

export class Cors {
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** Undefined while it is off. @throws ApiError `sealed` */
  async rules(): Promise<CorsRules | undefined> {
    return await this.#storage.getShared<CorsRules>('cors')
  }

  /** @param headers  besides the usual ones. @throws ApiError `invalid_request` */
  async enable(origins: readonly string[], headers: readonly string[]): Promise<void> {
    await this.#storage.put<CorsRules>('cors', corsRules(origins, headers))
  }

  async disable(): Promise<void> {
    await this.#storage.delete('cors')
  }
}

/** @throws ApiError `invalid_request` */
export function corsRules(origins: readonly string[], headers: readonly string[]): CorsRules {
  if (origins.length === 0) throw refused('at least one origin or the wildcard must be provided')
  if (origins.length > 1 && origins.includes('*')) {
    throw refused("to allow all origins the '*' must be the only value for allowed_origins")
  }
  if (origins.length > MAX_ORIGINS) throw refused(`no more than ${MAX_ORIGINS} origins`)
  if (headers.length > MAX_HEADERS) throw refused(`no more than ${MAX_HEADERS} headers`)
  const bad = headers.find((each) => !isHeaderName(each))
  if (bad !== undefined) throw refused(`${JSON.stringify(bad)} is not the name of a header`)
  return { origins: [...new Set(origins)], headers: [...new Set([...usualHeaders, ...headers])] }
}

function refused(message: string): ApiError {
  return new ApiError('invalid_request', message)
}
