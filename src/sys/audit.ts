/** `sys/audit`: further audit devices beside the ledger, which is always on. */
import type { AuditDevices } from '#core/audit/devices.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'

const path = { type: 'string', about: 'Name of the device.', required: true } as const
const noFields = {} satisfies Fields
const enableFields = {
  path,
  type: { type: 'string', about: 'Kind of device, e.g. `file`.', default: '' },
  description: { type: 'string', about: 'For people.', default: '' },
  options: { type: 'pairs', about: 'Options of the kind, e.g. `file_path=/var/log/audit.log`.' },
  local: { type: 'boolean', about: 'Accepted for compatibility.', default: false },
} satisfies Fields
const hashFields = {
  path,
  input: { type: 'string', about: 'Text to hash as the device would.' },
} satisfies Fields

export function auditPaths(devices: AuditDevices): Path[] {
  return [
    {
      pattern: 'audit',
      sudo: true,
      repeatsData: true,
      operations: { read: endpoint('Every audit device.', noFields, async () => ({ data: await devices.describe() })) },
    },
    {
      pattern: 'audit/*path',
      sudo: true,
      operations: {
        update: endpoint('Enable a device.', enableFields, (call) => enable(devices, call)),
        delete: endpoint('Disable a device.', { path }, (call) => disable(devices, call)),
      },
    },
    {
      pattern: 'audit-hash/*path',
      repeatsData: true,
      operations: {
        update: endpoint('Hash a text, to look for it in the lines of a device.', hashFields, (call) =>
          hash(devices, call),
        ),
      },
    },
  ]
}

async function enable(devices: AuditDevices, { data }: Call<typeof enableFields>): Promise<Reply> {
  const { type, description, options, local } = data
  if (type === '') throw new ApiError('invalid_request', 'backend type must be specified as a string')
  await devices.enable(data.path, { type, description, options: options ?? {}, local })
  return {}
}

async function disable(devices: AuditDevices, { data }: Call<{ path: typeof path }>): Promise<Reply> {
  await devices.disable(data.path)
  return {}
}

async function hash(devices: AuditDevices, { data }: Call<typeof hashFields>): Promise<Reply> {
  if (data.input === undefined || data.input === '')
    throw new ApiError('invalid_request', 'the "input" parameter is empty')
  return { data: { hash: devices.hash(data.path, data.input) } }
}
