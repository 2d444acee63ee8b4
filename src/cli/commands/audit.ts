/** `audit list`, `enable` and `disable`: sys/audit. */
import { command } from '#cli/command.ts'
import { parseData } from '#cli/data-arguments.ts'
import { attempt, EXIT_OK, EXIT_REMOTE } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { cleanPath, mountPath } from '#cli/paths.ts'
import { toSecret } from '#cli/secret.ts'
import { plain } from '#cli/table.ts'

export const list = command({
  usage: '[options]',
  details: 'Prints the audit devices that are on.',
  flags: { detailed: { type: 'boolean', default: false, about: 'Print their options too.' } },
  output: 'format',
  arguments: { min: 0, max: 0 },
  async run({ flags, session, output }) {
    const reply = await attempt('Error listing audits', async () => await session.request('GET', 'sys/audit'))
    const devices = toSecret(reply.json).data ?? {}
    const paths = Object.keys(devices).sort()
    if (output.format === 'table' && paths.length === 0) {
      output.line('No audit devices are enabled.')
      return EXIT_REMOTE
    }
    return await output.list(devices, () => {
      const rows = paths.map((path) => {
        const device = isObject(devices[path]) ? devices[path] : {}
        const row = [path, plain(device['type']), plain(device['description'] ?? '')]
        return flags.detailed
          ? [...row, device['local'] === true ? 'local' : 'replicated', optionsText(device['options'])]
          : row
      })
      return [['Path', 'Type', 'Description', ...(flags.detailed ? ['Replication', 'Options'] : [])], ...rows]
    })
  },
})

function optionsText(options: unknown): string {
  if (!isObject(options)) return ''
  return Object.entries(options)
    .map(([name, value]) => `${name}=${plain(value)}`)
    .join(' ')
}

export const enable = command({
  usage: '[options] TYPE [CONFIG K=V...]',
  details:
    'Turns an audit device on. Each type has options of its own, given as pairs. From then on no request is answered that was not written there or to another device.',
  examples: [{ about: 'Write to a file:', words: 'strongroom audit enable file file_path=/var/log/strongroom.log' }],
  flags: {
    description: { type: 'string', about: 'What the device is for.' },
    local: { type: 'boolean', default: false, about: 'Accepted for scripts that set it.' },
    path: { type: 'string', about: 'Name of the device. The default is its type.' },
  },
  output: 'none',
  arguments: { min: 1, max: Infinity },
  async run({ flags, arguments: words, session, output }) {
    const type = words[0]!.trim()
    const path = mountPath(flags.path ?? type)
    const options = await parseData(words.slice(1))
    const body = { type, description: flags.description ?? '', local: flags.local, options }
    await attempt(
      'Error enabling audit device',
      async () => await session.request('PUT', `sys/audit/${cleanPath(path)}`, { body }),
    )
    output.success(`Success! Enabled the ${type} audit device at: ${path}`)
    return EXIT_OK
  },
})

export const disable = command({
  usage: '[options] PATH',
  details: 'Turns an audit device off. What was written stays.',
  flags: {},
  output: 'none',
  arguments: { min: 1, max: 1 },
  async run({ arguments: words, session, output }) {
    const path = mountPath(words[0]!)
    await attempt(
      'Error disabling audit device',
      async () => await session.request('DELETE', `sys/audit/${cleanPath(path)}`),
    )
    output.success(`Success! Disabled audit device (if it was enabled) at: ${path}`)
    return EXIT_OK
  },
})
