/** `plugin list`, `info`, `register`, `deregister` and `reload`: sys/plugins. */
import { command } from '#cli/command.ts'
import { attempt, CommandFailure, EXIT_LOCAL, EXIT_OK } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { toSecret } from '#cli/secret.ts'
import { plain } from '#cli/table.ts'

const types = ['auth', 'database', 'secret']

function typeOf(word: string): string {
  const type = word.trim().toLowerCase()
  if (!types.includes(type))
    throw new CommandFailure(`"${word}" is no type of plugin: use ${types.join(', ')}`, EXIT_LOCAL)
  return type
}

export const list = command({
  usage: '[options] [TYPE]',
  details: 'Prints the kinds of engines that the server knows; with TYPE those of auth, database or secret.',
  flags: { detailed: { type: 'boolean', default: false, about: 'Print whether they are deprecated too.' } },
  output: 'format',
  arguments: { min: 0, max: 1 },
  async run({ flags, arguments: words, session, output }) {
    const type = words[0] === undefined ? undefined : typeOf(words[0])
    const reply = await attempt(
      'Error listing available plugins',
      async () => await session.request('GET', 'sys/plugins/catalog'),
    )
    const data = toSecret(reply.json).data ?? {}
    const detailed = Array.isArray(data['detailed']) ? data['detailed'].filter(isObject) : []
    const shown = detailed.filter((each) => type === undefined || each['type'] === type)
    const values = flags.detailed || type === undefined ? shown : shown.map((each) => each['name'])
    return await output.list(values, () => {
      const columns = [
        ['Name', 'name'],
        ...(type === undefined ? [['Type', 'type']] : []),
        ['Version', 'version'],
        ...(flags.detailed ? [['Deprecation Status', 'deprecation_status']] : []),
      ] as const
      return [
        columns.map(([title]) => title!),
        ...shown.map((each) => columns.map(([, name]) => plain(each[name!] ?? 'n/a') || 'n/a')),
      ]
    })
  },
})

export const info = command({
  usage: '[options] TYPE NAME',
  details: 'Prints what the server knows about a plugin of type auth, database or secret.',
  examples: [{ about: 'About the KV engine:', words: 'strongroom plugin info secret kv' }],
  flags: { version: { type: 'string', about: 'Version of the plugin.' } },
  output: 'field',
  arguments: { min: 2, max: 2 },
  async run({ flags, arguments: words, session, output }) {
    const [type, name] = [typeOf(words[0]!), words[1]!.trim()]
    const reply = await attempt(
      'Error reading plugin',
      async () =>
        await session.find('GET', `sys/plugins/catalog/${type}/${name}`, { query: { version: flags.version } }),
    )
    const data = toSecret(reply?.json).data
    if (!reply || !data) throw new CommandFailure(`No value found for plugin "${name}" of type ${type}`)
    if (output.field !== undefined) return await output.value(data, output.field)
    if (output.format !== 'table') return await output.data(data)
    // An empty table cell says nothing.
    return await output.data(
      Object.fromEntries(Object.entries(data).map(([key, each]) => [key, each === '' ? 'n/a' : each])),
    )
  },
})

export const register = command({
  usage: '[options] TYPE NAME',
  details: 'Adds a plugin to the catalog of a server that starts other programs. This one does not, and says so.',
  flags: {
    args: { type: 'list', about: 'Argument of the program. May be given several times.' },
    command: { type: 'string', about: 'How the program is started. The default is NAME.' },
    env: { type: 'list', about: 'NAME=VALUE for its environment. May be given several times.' },
    sha256: { type: 'string', default: '', about: 'SHA-256 of the program, in hex.' },
    version: { type: 'string', default: '', about: 'Version of the plugin.' },
  },
  output: 'none',
  arguments: { min: 2, max: 2 },
  async run({ flags, arguments: words, session, output }) {
    const [type, name] = [typeOf(words[0]!), words[1]!.trim()]
    const { args, env, sha256, version } = flags
    const body = { args, env, sha256, version, command: flags.command ?? name, type }
    await attempt(
      `Error registering plugin ${name}`,
      async () => await session.request('PUT', `sys/plugins/catalog/${type}/${name}`, { body }),
    )
    output.success(`Success! Registered plugin: ${name}`)
    return EXIT_OK
  },
})

export const deregister = command({
  usage: '[options] TYPE NAME',
  details: 'Removes a plugin that was registered from the catalog. Those that are part of the server stay.',
  flags: { version: { type: 'string', about: 'Version of the plugin.' } },
  output: 'none',
  arguments: { min: 2, max: 2 },
  async run({ flags, arguments: words, session, output }) {
    const [type, name] = [typeOf(words[0]!), words[1]!.trim()]
    await attempt(
      `Error deregistering plugin named ${name}`,
      async () =>
        await session.request('DELETE', `sys/plugins/catalog/${type}/${name}`, { query: { version: flags.version } }),
    )
    output.success(`Success! Deregistered ${type} plugin: ${name}`)
    return EXIT_OK
  },
})

export const reload = command({
  usage: '[options]',
  details: 'Loads engines anew, so that they forget what they keep in memory: by the name of a plugin, or by mounts.',
  examples: [{ about: 'Every mount of the KV engine:', words: 'strongroom plugin reload -plugin=kv' }],
  flags: {
    mounts: { type: 'list', about: 'Path of a mount. May be given several times.' },
    plugin: { type: 'string', about: 'Name of a plugin.' },
    scope: { type: 'string', about: '"global": on all nodes.', choices: ['global'] },
  },
  output: 'none',
  arguments: { min: 0, max: 0 },
  async run({ flags, session, output }) {
    const { plugin, mounts, scope } = flags
    if ((plugin === undefined) === (mounts.length === 0)) {
      throw new CommandFailure('Give either -plugin or -mounts', EXIT_LOCAL)
    }
    const body = {
      ...(plugin !== undefined && { plugin }),
      ...(mounts.length > 0 && { mounts }),
      ...(scope && { scope }),
    }
    const reply = await attempt(
      'Error reloading plugin/mounts',
      async () => await session.request('PUT', 'sys/plugins/reload/backend', { body }),
    )
    const id = plain(toSecret(reply.json).data?.['reload_id'] ?? '')
    const what = plugin === undefined ? `mounts: ${mounts.join(', ')}` : `plugin: ${plugin}`
    output.success(`Success! Reloaded ${what}${scope ? `, reload_id: ${id}` : ''}`)
    return EXIT_OK
  },
})
