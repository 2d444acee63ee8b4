/** Audit devices of the configuration. */
import type { AuditDevices } from '#core/audit/devices.ts'

export interface DeclaredDevice {
  type: string
  path: string
  description: string
  options: Record<string, string>
}

/** Enables those that are not there yet. One that cannot be enabled is told, as one that fails later would be. */
export async function enableDeclared(
  devices: AuditDevices,
  declared: readonly DeclaredDevice[],
  log: (text: string) => void,
): Promise<void> {
  const there = await devices.describe()
  for (const { type, path, description, options } of declared) {
    if (Object.hasOwn(there, `${path}/`)) continue
    try {
      await devices.enable(path, { type, description, options, local: false })
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      log(`audit device ${path}/ of the configuration: ${reason}`)
    }
  }
}
