/**
 * `sys/plugins`: which kinds of engines there are. All of them are part of the program; no other program is ever started,
 * so nothing can be registered.
 */
import { trimSlashes } from '#lib/slashes.ts'
import { randomUUID } from 'node:crypto'
import type { Mounts } from '#core/mounts/mounts.ts'
import { builtinPluginVersion } from '#lib/version.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'

const pluginTypes = ['auth', 'database', 'secret'] as const
type PluginType = (typeof pluginTypes)[number]

export interface PluginServices {
  mounts: Mounts
  /** Names of the kinds of databases, each `<name>-database-plugin`. */
  databasePlugins?: readonly string[]
}

const noFields = {} satisfies Fields
const type = { type: 'string', about: 'auth, database or secret.', required: true } as const
const name = { type: 'string', about: 'Name of the plugin.', required: true } as const
const version = { type: 'string', about: 'Version of the plugin.', query: true } as const
const oldFields = {
  type: { type: 'string', about: 'Name of the plugin.', required: true },
  sha256: { type: 'string', about: 'SHA-256 of the program, in hex.' },
  command: { type: 'string', about: 'How it is started.' },
  args: { type: 'strings', about: 'Arguments.' },
  env: { type: 'strings', about: 'Environment variables.' },
  version: { type: 'string', about: 'Version of the plugin.' },
  oci_image: { type: 'string', about: 'Image of a container.' },
  runtime: { type: 'string', about: 'What runs the container.' },
} satisfies Fields
const registerFields = { ...oldFields, type, name } satisfies Fields
const reloadFields = {
  plugin: { type: 'string', about: 'Every mount of this plugin.', default: '' },
  mounts: { type: 'strings', about: 'Paths of mounts.' },
  scope: { type: 'string', about: 'Nothing or `global`: on all nodes.', default: '' },
} satisfies Fields

export function pluginPaths(services: PluginServices): Path[] {
  const read = endpoint('About a plugin.', { type, name, version }, (call) => about(services, call.data))
  return [
    {
      pattern: 'plugins/catalog',
      operations: { read: endpoint('Every plugin.', noFields, async () => catalog(services)) },
    },
    {
      pattern: 'plugins/catalog/:type',
      sudo: true,
      operations: {
        list: endpoint('Plugins of a type.', { type }, async ({ data }) => ({
          data: { keys: namesOf(services, typeOf(data.type)) },
        })),
        // Before plugins had types, their names stood here.
        read: endpoint('Old address of a plugin.', { type }, async ({ data }) => ({
          warnings: [
            `Deprecated API endpoint, cannot read plugin information from catalog for ${JSON.stringify(data.type)}`,
          ],
        })),
        update: endpoint('Not possible: plugins are part of the program.', oldFields, refuseToRegister),
        delete: endpoint('Old address of a plugin.', { type }, async ({ data }) => ({
          warnings: [`Deprecated API endpoint, cannot deregister plugin from catalog for ${JSON.stringify(data.type)}`],
        })),
      },
    },
    {
      pattern: 'plugins/catalog/:type/:name',
      sudo: true,
      operations: {
        read,
        update: endpoint('Not possible: plugins are part of the program.', registerFields, refuseToRegister),
        delete: endpoint(
          'Remove a plugin that was registered; there is none.',
          { type, name, version },
          async (call) => {
            typeOf(call.data.type)
            return {}
          },
        ),
      },
    },
    {
      pattern: 'plugins/reload/backend',
      operations: {
        update: endpoint('Load engines anew, with nothing that they remember.', reloadFields, (call) =>
          reload(services, call),
        ),
      },
    },
  ]
}

function typeOf(text: string): PluginType {
  const found = pluginTypes.find((each) => each === text)
  if (!found) throw new ApiError('invalid_request', `${JSON.stringify(text)} is not a supported plugin type`)
  return found
}

/** Part of every server, or an old name of another. */
const withoutEntry = ['cubbyhole', 'generic']

function namesOf({ mounts, databasePlugins = [] }: PluginServices, of: PluginType): string[] {
  return (of === 'database' ? [...databasePlugins] : mounts.types(of))
    .filter((each) => !withoutEntry.includes(each))
    .toSorted()
}

function catalog(services: PluginServices): Reply {
  const byType: Partial<Record<PluginType, string[]>> = {}
  const detailed: Record<string, unknown>[] = []
  for (const each of pluginTypes) {
    const names = namesOf(services, each)
    if (names.length === 0) continue
    byType[each] = names
    for (const plugin of names) {
      const known = { builtin: true, deprecation_status: 'supported', name: plugin, type: each }
      detailed.push({ ...known, version: builtinPluginVersion })
    }
  }
  return { data: { ...byType, detailed } }
}

async function about(services: PluginServices, data: { type: string; name: string }): Promise<Reply> {
  if (!namesOf(services, typeOf(data.type)).includes(data.name)) return {}
  return {
    data: {
      args: [],
      builtin: true,
      command: '',
      deprecation_status: 'supported',
      name: data.name,
      oci_image: '',
      runtime: '',
      sha256: '',
      version: builtinPluginVersion,
    },
  }
}

async function refuseToRegister(): Promise<Reply> {
  throw new ApiError(
    'invalid_request',
    'plugins cannot be registered: every engine is part of this server, and it starts no other programs',
  )
}

async function reload({ mounts }: PluginServices, { data }: Call<typeof reloadFields>): Promise<Reply> {
  const { plugin, mounts: paths = [], scope } = data
  if (scope !== '' && scope !== 'global') refuse("reload scope must be omitted or 'global'")
  if (plugin !== '' && paths.length > 0) refuse('plugin and mounts cannot be set at the same time')
  if (plugin === '' && paths.length === 0) refuse('plugin or mounts must be provided')
  const routes = paths.map((each) => `${trimSlashes(each)}/`)
  const reopened = await mounts.reopen(({ entry, route }) =>
    plugin === '' ? routes.includes(route) : entry.type === plugin,
  )
  const missing = routes.filter((each) => !reopened.includes(each))
  if (missing.length > 0)
    refuse(`cannot fetch mount entry on ${missing.map((each) => JSON.stringify(each)).join(', ')}`)
  return { data: { reload_id: randomUUID() }, ...(scope === 'global' && { status: 202 }) }
}

function refuse(message: string): never {
  throw new ApiError('invalid_request', message)
}
