/**
 * A device that operators enabled and that could not be opened at unseal. The ledger holds every line, so the server goes
 * on as it does when a device fails later; this one is tried again, and its absence is told until it works.
 */
import type { AuditDevice } from '#sdk/audit.ts'
import { ApiError } from '#sdk/errors.ts'

const RETRY_MS = 10_000

export class ReopeningDevice implements AuditDevice {
  readonly #open: () => Promise<AuditDevice>
  #device: AuditDevice | undefined
  #opening: Promise<void> | undefined
  #lastTryMs = 0
  #closed = false
  #failure: string

  constructor(open: () => Promise<AuditDevice>, failure: string) {
    this.#open = open
    this.#failure = failure
    this.#lastTryMs = performance.now()
  }

  async write(line: string): Promise<void> {
    if (!this.#device && performance.now() - this.#lastTryMs >= RETRY_MS) await this.#try()
    if (!this.#device) throw new ApiError('audit_failed', 'the request could not be audited', { reason: this.#failure })
    await this.#device.write(line)
  }

  async reload(): Promise<void> {
    if (this.#device) await this.#device.reload()
    else await this.#try()
    if (!this.#device) throw new ApiError('audit_failed', this.#failure)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#opening
    await this.#device?.close()
  }

  trouble(): string | undefined {
    return this.#device ? this.#device.trouble() : this.#failure
  }

  /** Many lines may wait for one attempt. */
  async #try(): Promise<void> {
    this.#opening ??= this.#openOnce().finally(() => (this.#opening = undefined))
    await this.#opening
  }

  async #openOnce(): Promise<void> {
    this.#lastTryMs = performance.now()
    try {
      const device = await this.#open()
      if (this.#closed) await device.close()
      else this.#device = device
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error)
    }
  }
}
