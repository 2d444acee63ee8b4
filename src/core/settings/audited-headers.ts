/**
 * Headers of requests that audit lines tell, hashed or as they are.
 * Storage: `audited-headers` → { <lower-case name>: { hmac } }.
 *
 * Asked on every request: while nothing was committed since, the answer needs no look at the store.
 */
import { ApiError } from '#sdk/errors.ts'
import type { Storage } from '#sdk/storage.ts'
import { isHeaderName } from './header.ts'

export interface HeaderSetting {
  hmac: boolean
}

type Entry = Record<string, HeaderSetting>

/** What a request tells of its headers: `clear` are the names of those that stand in lines as they are. */
export interface ToldHeaders {
  headers: Record<string, string[]>
  clear: readonly string[]
}

type Given = Readonly<Record<string, string | string[] | undefined>>

const MAX_HEADERS = 100

/** Whoever reads the trail must not get a token by it, whatever an operator asked for. */
const secrets: readonly string[] = ['authorization', 'x-vault-token', 'cookie', 'proxy-authorization']

export class AuditedHeaders {
  readonly #storage: Storage
  #moment: number | undefined
  #names: readonly [string, HeaderSetting][] = []

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** Undefined when there is nothing to tell. */
  of(given: Given): ToldHeaders | undefined | Promise<ToldHeaders | undefined> {
    if (this.#storage.moment() === this.#moment) return this.#names.length === 0 ? undefined : told(this.#names, given)
    return this.#look(given)
  }

  async #look(given: Given): Promise<ToldHeaders | undefined> {
    const moment = this.#storage.moment()
    this.#names = Object.entries(await this.all())
    this.#moment = moment
    return told(this.#names, given)
  }

  async all(): Promise<Readonly<Entry>> {
    return (await this.#storage.getShared<Entry>('audited-headers')) ?? {}
  }

  async setting(name: string): Promise<HeaderSetting | undefined> {
    const all = await this.all()
    const lower = name.toLowerCase()
    return Object.hasOwn(all, lower) ? all[lower] : undefined
  }

  /** @throws ApiError `invalid_request` */
  async set(name: string, hmac: boolean): Promise<void> {
    if (!isHeaderName(name))
      throw new ApiError('invalid_request', `${JSON.stringify(name)} is not the name of a header`)
    await this.#storage.update<Entry>('audited-headers', (entry = {}) => {
      const changed = { ...entry, [name.toLowerCase()]: { hmac } }
      if (Object.keys(changed).length > MAX_HEADERS) {
        throw new ApiError('invalid_request', `no more than ${MAX_HEADERS} headers`)
      }
      return changed
    })
  }

  async remove(name: string): Promise<void> {
    await this.#storage.update<Entry>('audited-headers', (entry) => {
      if (!entry) return undefined
      const { [name.toLowerCase()]: _, ...rest } = entry
      return Object.keys(rest).length > 0 ? rest : undefined
    })
  }
}

function told(names: readonly [string, HeaderSetting][], given: Given): ToldHeaders | undefined {
  const headers: Record<string, string[]> = {}
  const clear: string[] = []
  let any = false
  for (const [name, { hmac }] of names) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined
    if (value === undefined) continue
    any = true
    headers[name] = Array.isArray(value) ? value : [value]
    if (!hmac && !secrets.includes(name)) clear.push(name)
  }
  return any ? { headers, clear } : undefined
}
