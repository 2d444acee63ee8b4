/**
 * Headers of the pages of the web interface.
 * Storage: `ui-headers` → { <canonical name>: values }.
 */
import { ApiError } from '#sdk/errors.ts'
import type { Storage } from '#sdk/storage.ts'
import { canonicalName, isHeaderName, isHeaderValue, isOwnHeader } from './header.ts'

type Entry = Record<string, string[]>

const MAX_HEADERS = 100
const MAX_VALUES = 20

/** Sent with every page unless operators say otherwise: a page of ours loads and talks to nothing but this server. */
export const defaultUiHeaders: Readonly<Record<string, string>> = {
  'Service-Worker-Allowed': '/',
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy':
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; script-src 'self'; style-src 'unsafe-inline' 'self'; form-action 'none'; frame-ancestors 'none'; font-src 'self'",
}

export class UiHeaders {
  readonly #storage: Storage
  /** Lower case: those of the configuration of listeners, which win. */
  readonly #taken: ReadonlySet<string>

  constructor(storage: Storage, taken: ReadonlySet<string>) {
    this.#storage = storage
    this.#taken = taken
  }

  async names(): Promise<string[]> {
    return Object.keys(await this.#entry()).toSorted()
  }

  async values(name: string): Promise<string[] | undefined> {
    const entry = await this.#entry()
    const canonical = canonicalName(name)
    return Object.hasOwn(entry, canonical) ? entry[canonical] : undefined
  }

  /** All that a page is sent with. */
  async all(): Promise<[string, string][]> {
    const given = await this.#entry()
    const merged: Record<string, string | string[]> = { ...defaultUiHeaders, ...given }
    return Object.entries(merged).flatMap(([name, value]) =>
      [value].flat().map((each): [string, string] => [name, each]),
    )
  }

  /** @throws ApiError `invalid_request` */
  async set(name: string, values: readonly string[]): Promise<void> {
    if (values.length === 0) throw refused('header and values must be specified')
    if (/^x-vault-/i.test(name)) throw refused('X-Vault headers cannot be set')
    if (isOwnHeader(name)) throw refused(`${name} is the server's own`)
    if (!isHeaderName(name)) throw refused(`${JSON.stringify(name)} is not the name of a header`)
    if (!values.every(isHeaderValue)) throw refused('a value has characters that no header may have')
    if (values.length > MAX_VALUES) throw refused(`no more than ${MAX_VALUES} values`)
    if (this.#taken.has(name.toLowerCase())) {
      throw refused('This header already exists in the server configuration and cannot be set in the UI.')
    }
    await this.#storage.update<Entry>('ui-headers', (entry = {}) => {
      const changed = { ...entry, [canonicalName(name)]: [...values] }
      if (Object.keys(changed).length > MAX_HEADERS) throw refused(`no more than ${MAX_HEADERS} headers`)
      return changed
    })
  }

  async remove(name: string): Promise<void> {
    await this.#storage.update<Entry>('ui-headers', (entry) => {
      if (!entry) return undefined
      const { [canonicalName(name)]: _, ...rest } = entry
      return Object.keys(rest).length > 0 ? rest : undefined
    })
  }

  async #entry(): Promise<Readonly<Entry>> {
    return (await this.#storage.getShared<Entry>('ui-headers')) ?? {}
  }
}

function refused(message: string): ApiError {
  return new ApiError('invalid_request', message)
}
