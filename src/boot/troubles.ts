import { LEDGER } from '#core/audit/devices.ts'
import type { Core } from '#request/core.ts'

interface Parts {
  ledger: { trouble(): string | undefined } | undefined
  core: Core | undefined
  driver: { trouble(): string | undefined }
  seal: { trouble(): string | undefined }
  unsealing: { trouble(): string | undefined }
  workers: { trouble(): string | undefined }
}

/** What is wrong right now, for health. */
export function troublesOf({ ledger, core, driver, seal, unsealing, workers }: Parts): {
  refusing: boolean
  texts: string[]
} {
  const ofLedger = ledger?.trouble()
  const devices = core?.audit.failing().filter((name) => name !== LEDGER) ?? []
  const texts = [
    ofLedger && `audit ledger: ${ofLedger}`,
    // Only which: what a device says of itself may tell strangers of files and hosts.
    ...devices.map((name) => `audit device ${name} fails`),
    driver.trouble(),
    unsealing.trouble(),
    seal.trouble(),
    core?.leases.trouble(),
    workers.trouble(),
  ]
  return {
    refusing: ofLedger !== undefined,
    texts: texts.filter((text) => text !== undefined && text !== '') as string[],
  }
}
