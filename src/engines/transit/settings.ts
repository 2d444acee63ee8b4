/** Settings of the mount. Storage: config/keys → SettingsEntry, config/cache → CacheSettings. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import type { Fields } from '#sdk/schema.ts'
import { refuse } from './key.ts'
import { CACHE_KEY, type CacheSettings } from './loaded.ts'

export interface SettingsEntry {
  disable_upsert: boolean
}

export const SETTINGS_KEY = 'config/keys'

/** As the API has it: fewer would thrash. */
const MIN_CACHE = 10

const keysFields = {
  disable_upsert: { type: 'boolean', about: 'Whether encrypting may not make the key that it misses.' },
} as const satisfies Fields
const cacheFields = {
  size: {
    type: 'integer',
    about: 'Of how many keys the parsed material is kept; 0: the most there may be.',
    default: 0,
  },
} as const satisfies Fields

export const settingsPaths: readonly Path[] = [
  {
    pattern: 'config/keys',
    readsOnly: true,
    about: 'Settings for all keys of this mount.',
    operations: {
      read: endpoint('Read the settings.', {}, async ({ mount }) => ({ data: await settingsOf(mount) })),
      update: endpoint('Change the settings that are given.', keysFields, writeSettings),
    },
  },
  {
    pattern: 'cache-config',
    readsOnly: true,
    about: 'How much parsed key material is kept.',
    operations: {
      read: endpoint('Read the size.', {}, readCache),
      update: endpoint('Set the size.', cacheFields, writeCache),
    },
  },
]

async function settingsOf({ storage }: Call['mount']): Promise<Record<string, unknown>> {
  return { disable_upsert: (await storage.get<SettingsEntry>(SETTINGS_KEY))?.disable_upsert ?? false }
}

async function writeSettings({ mount, data }: Call<typeof keysFields>): Promise<Reply> {
  await mount.storage.update<SettingsEntry>(SETTINGS_KEY, (stored) => ({
    disable_upsert: data.disable_upsert ?? stored?.disable_upsert ?? false,
  }))
  return { data: await settingsOf(mount) }
}

async function readCache({ mount }: Call): Promise<Reply> {
  return { data: { size: (await mount.storage.get<CacheSettings>(CACHE_KEY))?.size ?? 0 } }
}

async function writeCache({ mount, data }: Call<typeof cacheFields>): Promise<Reply> {
  if (data.size < 0) refuse('size must be greater or equal to 0')
  if (data.size !== 0 && data.size < MIN_CACHE) refuse(`size must be 0 or a value greater or equal to ${MIN_CACHE}`)
  await mount.storage.put<CacheSettings>(CACHE_KEY, { size: data.size })
  return { data: { size: data.size } }
}
