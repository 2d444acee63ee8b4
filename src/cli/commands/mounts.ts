/** `list` and `disable` of `secrets` and `auth`: sys/mounts and sys/auth. */
import { type Call, command } from '#cli/command.ts'
import { attempt, EXIT_OK } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { cleanPath, mountPath } from '#cli/paths.ts'
import { toSecret } from '#cli/secret.ts'
import { duration, plain } from '#cli/table.ts'

const detailedFlag = {
  detailed: { type: 'boolean', default: false, about: 'Print all that is known about each mount.' },
} as const

export const listSecrets = command({
  usage: '[options]',
  details: 'Prints the secrets engines that are on, and where.',
  flags: detailedFlag,
  output: 'format',
  arguments: { min: 0, max: 0 },
  run: async (call) =>
    await list(call, {
      path: 'sys/mounts',
      what: 'secrets engines',
      columns: ['Path', 'Type', 'Accessor', 'Description'],
      extra: 'Force No Cache',
    }),
})

export const listAuth = command({
  usage: '[options]',
  details: 'Prints the auth methods that are on, and where.',
  flags: detailedFlag,
  output: 'format',
  arguments: { min: 0, max: 0 },
  run: async (call) =>
    await list(call, {
      path: 'sys/auth',
      what: 'enabled authentications',
      columns: ['Path', 'Type', 'Accessor', 'Description', 'Version'],
      extra: 'Token Type',
    }),
})

interface Kind {
  path: string
  what: string
  columns: readonly string[]
  /** The column that only this kind has in the detailed table. */
  extra: 'Force No Cache' | 'Token Type'
}

async function list({ flags, session, output }: Call<typeof detailedFlag>, kind: Kind): Promise<number> {
  const reply = await attempt(`Error listing ${kind.what}`, async () => await session.request('GET', kind.path))
  const mounts = toSecret(reply.json).data ?? {}
  const columns = flags.detailed ? detailedColumns(kind.extra) : kind.columns
  return await output.list(mounts, () => {
    const rows = Object.keys(mounts)
      .sort()
      .map((path) => {
        const cells = cellsOf(path, isObject(mounts[path]) ? mounts[path] : {})
        return columns.map((column) => cells[column] ?? '')
      })
    return [columns, ...rows]
  })
}

function detailedColumns(extra: Kind['extra']): string[] {
  const tail = [
    'Replication',
    'Seal Wrap',
    'External Entropy Access',
    'Options',
    'Description',
    'UUID',
    'Version',
    'Running Version',
    'Running SHA256',
    'Deprecation Status',
  ]
  return ['Path', 'Plugin', 'Accessor', 'Default TTL', 'Max TTL', extra, ...tail]
}

function cellsOf(path: string, mount: Record<string, unknown>): Record<string, string> {
  const config = isObject(mount['config']) ? mount['config'] : {}
  const ttl = (value: unknown) => (value === 0 || value === undefined ? 'system' : duration(value))
  return {
    Path: path,
    Type: plain(mount['type']),
    Plugin: plain(mount['type']),
    Accessor: plain(mount['accessor'] ?? ''),
    Description: plain(mount['description'] ?? ''),
    'Default TTL': ttl(config['default_lease_ttl']),
    'Max TTL': ttl(config['max_lease_ttl']),
    'Force No Cache': plain(config['force_no_cache'] ?? false),
    'Token Type': plain(config['token_type'] ?? ''),
    Replication: mount['local'] === true ? 'local' : 'replicated',
    'Seal Wrap': plain(mount['seal_wrap'] ?? false),
    'External Entropy Access': plain(mount['external_entropy_access'] ?? false),
    Options: plain(mount['options'] ?? {}),
    UUID: plain(mount['uuid'] ?? ''),
    Version: plain(mount['plugin_version'] ?? ''),
    'Running Version': plain(mount['running_plugin_version'] ?? ''),
    'Running SHA256': plain(mount['running_sha256'] ?? ''),
    'Deprecation Status': plain(mount['deprecation_status'] ?? ''),
  }
}

export const disableSecrets = command({
  usage: '[options] PATH',
  details: 'Turns the secrets engine at a path off. What it holds is deleted and its leases are revoked.',
  flags: {},
  output: 'none',
  arguments: { min: 1, max: 1 },
  async run({ arguments: words, session, output }) {
    const path = mountPath(words[0]!)
    await attempt(
      `Error disabling secrets engine at ${path}`,
      async () => await session.request('DELETE', `sys/mounts/${cleanPath(path)}`),
    )
    output.success(`Success! Disabled the secrets engine (if it existed) at: ${path}`)
    return EXIT_OK
  },
})

export const disableAuth = command({
  usage: '[options] PATH',
  details: 'Turns the auth method at a path off. Whoever logged in by it loses the token at once.',
  flags: {},
  output: 'none',
  arguments: { min: 1, max: 1 },
  async run({ arguments: words, session, output }) {
    const path = mountPath(words[0]!)
    await attempt(
      `Error disabling auth method at ${path}`,
      async () => await session.request('DELETE', `sys/auth/${cleanPath(path)}`),
    )
    output.success(`Success! Disabled the auth method (if it existed) at: ${path}`)
    return EXIT_OK
  },
})
