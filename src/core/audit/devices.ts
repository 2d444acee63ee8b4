/**
 * The audit devices that operators add beside the ledger, and the keys that lines are hashed with.
 * Storage: `ledger` → { key }, `devices` → DeviceEntry[].
 */
import { trimSlashes } from '#lib/slashes.ts'
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import type { AuditDevice, AuditDeviceKind } from '#sdk/audit.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Storage } from '#sdk/storage.ts'
import type { Audit } from './audit.ts'
import { formatOptions } from './options.ts'
import { ReopeningDevice } from './reopening.ts'

interface DeviceEntry {
  path: string
  type: string
  description: string
  options: Record<string, string>
  local: boolean
  /** base64; lines of this device are hashed with it. */
  key: string
}

export interface DeviceSpec {
  type: string
  description: string
  options: Record<string, string>
  local: boolean
}

export type DeviceKinds = Readonly<Record<string, () => Promise<{ kind: AuditDeviceKind }>>>

/** Name of the device that is always there. */
export const LEDGER = 'ledger/'
const MAX_DEVICES = 32

export class AuditDevices {
  readonly #audit: Audit
  readonly #storage: Storage
  readonly #kinds: DeviceKinds
  readonly #changed: (without?: string) => Promise<void>
  /** Changes of devices, one after the other: what is stored and what is open must not drift apart. */
  #turn: Promise<unknown> = Promise.resolve()

  /** @param options.changed  awaited after a device was added, and before the one that it is given is closed */
  constructor(options: {
    audit: Audit
    storage: Storage
    kinds: DeviceKinds
    changed?: (without?: string) => Promise<void>
  }) {
    this.#audit = options.audit
    this.#storage = options.storage
    this.#kinds = options.kinds
    this.#changed = options.changed ?? (async () => {})
  }

  /**
   * Puts the ledger first and opens what operators had enabled. One that cannot be opened is tried again and told as
   * trouble until then: were it to keep the server sealed, a log host that is down would lock everybody out, and nobody
   * could even disable it.
   *
   * @param report  for the server's own log
   */
  async load(ledger: AuditDevice, report: (text: string) => void): Promise<void> {
    this.#audit.add(LEDGER, ledger, {
      key: await this.#ledgerKey(),
      required: true,
      logRaw: false,
      hmacAccessor: true,
      elideListResponses: false,
    })
    for (const entry of await this.#entries()) {
      try {
        this.#add(entry, await this.#open(entry))
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error)
        report(`audit device ${entry.path} cannot be opened, and is tried again: ${text}`)
        this.#add(entry, new ReopeningDevice(() => this.#open(entry), text))
      }
    }
  }

  async enable(givenPath: string, spec: DeviceSpec): Promise<void> {
    const path = devicePath(givenPath)
    if (!/^[^\p{Cc}\p{Zl}\p{Zp}]{2,256}$/u.test(path)) {
      throw new ApiError('invalid_request', 'the path of an audit device has 1 to 255 characters that can be printed')
    }
    await this.#inTurn(() => this.#enable(path, spec))
  }

  async #enable(path: string, spec: DeviceSpec): Promise<void> {
    if (path === LEDGER) throw new ApiError('invalid_request', 'path already in use')
    if (!Object.hasOwn(this.#kinds, spec.type))
      throw new ApiError('invalid_request', `unknown backend type: "${spec.type}"`)
    formatOptions(spec.options) // Refused now, rather than at every start from now on.
    const entry: DeviceEntry = { ...spec, path, key: randomBytes(32).toString('base64') }
    await this.#storage.update<DeviceEntry[]>('devices', (entries = []) => {
      if (entries.some((each) => each.path === path)) throw new ApiError('invalid_request', 'path already in use')
      if (entries.length >= MAX_DEVICES)
        throw new ApiError('invalid_request', `no more than ${MAX_DEVICES} audit devices`)
      return [...entries, entry]
    })
    try {
      this.#add(entry, await this.#open(entry))
    } catch (error) {
      await this.#forget(path)
      throw error
    }
    await this.#changed()
  }

  async disable(givenPath: string): Promise<void> {
    const path = devicePath(givenPath)
    if (path === LEDGER) throw new ApiError('invalid_request', 'the ledger cannot be disabled')
    await this.#inTurn(async () => {
      await this.#forget(path)
      await this.#changed(path)
      await this.#audit.remove(path)
    })
  }

  hash(givenPath: string, input: string): string {
    const path = devicePath(givenPath)
    if (!this.#audit.names().includes(path)) throw new ApiError('invalid_request', `unknown audit backend "${path}"`)
    return this.#audit.hash(path, input)
  }

  async describe(): Promise<Record<string, unknown>> {
    const entries = (await this.#entries()).map(({ path, type, description, options, local }) => [
      path,
      { description, local, options, path, type },
    ])
    return Object.fromEntries(entries)
  }

  async #open({ type, options }: DeviceEntry): Promise<AuditDevice> {
    const load = Object.hasOwn(this.#kinds, type) ? this.#kinds[type] : undefined
    if (!load) throw new ApiError('invalid_request', `unknown backend type: "${type}"`)
    return await (await load()).kind.open(options)
  }

  #add({ path, key, options }: DeviceEntry, device: AuditDevice): void {
    this.#audit.add(path, device, { key: createSecretKey(key, 'base64'), ...formatOptions(options) })
  }

  async #inTurn(go: () => Promise<void>): Promise<void> {
    const next = this.#turn.then(go)
    this.#turn = next.catch(() => {})
    await next
  }

  async #forget(path: string): Promise<void> {
    await this.#storage.update<DeviceEntry[]>('devices', (entries = []) => entries.filter((each) => each.path !== path))
  }

  async #entries(): Promise<DeviceEntry[]> {
    return (await this.#storage.get<DeviceEntry[]>('devices')) ?? []
  }

  async #ledgerKey(): Promise<KeyObject> {
    await this.#storage.update<{ key: string }>(
      'ledger',
      (entry) => entry ?? { key: randomBytes(32).toString('base64') },
    )
    return createSecretKey((await this.#storage.get<{ key: string }>('ledger'))!.key, 'base64')
  }
}

function devicePath(given: string): string {
  return `${trimSlashes(given)}/`
}
