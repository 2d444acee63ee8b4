/** Every kind of audit device by the name that `sys/audit/<path>` takes as its type; loaded when first enabled. */
import type { AuditDeviceKind } from '#sdk/audit.ts'

export const auditDevices: Record<string, () => Promise<{ kind: AuditDeviceKind }>> = {
  file: () => import('./file/device.ts'),
}
