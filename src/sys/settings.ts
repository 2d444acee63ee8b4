/** `sys/config/cors`, `sys/config/ui/headers`, `sys/config/auditing/request-headers`, `sys/version-history`. */
import type { Settings } from '#core/settings/settings.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'

const noFields = {} satisfies Fields
const corsFields = {
  enable: { type: 'boolean', about: 'Whether pages of other origins may ask.', default: true },
  allowed_origins: { type: 'strings', about: 'Origins, such as https://app.example.com, or `*` for all.' },
  allowed_headers: { type: 'strings', about: 'Headers that such requests may carry besides the usual ones.' },
} satisfies Fields
const header = { type: 'string', about: 'Name of the header.', required: true } as const
const uiReadFields = {
  header,
  multivalue: { type: 'boolean', about: 'Tell all values rather than the first.', default: false, query: true },
} satisfies Fields
const uiWriteFields = {
  header,
  values: { type: 'strings', about: 'What pages are sent with.' },
  multivalue: { type: 'boolean', about: 'Accepted for compatibility.', default: false },
} satisfies Fields
const auditedFields = {
  header,
  hmac: { type: 'boolean', about: 'Whether its value is hashed.', default: false },
} satisfies Fields

export function settingPaths({ cors, uiHeaders, auditedHeaders, versions }: Settings): Path[] {
  return [...corsPaths(cors), ...uiPaths(uiHeaders), ...auditedPaths(auditedHeaders), ...versionPaths(versions)]
}

function corsPaths(cors: Settings['cors']): Path[] {
  const disable = async (): Promise<Reply> => {
    await cors.disable()
    return {}
  }
  return [
    {
      pattern: 'config/cors',
      sudo: true,
      repeatsData: true,
      operations: {
        read: endpoint('Which pages of other origins may ask.', noFields, async () => {
          const rules = await cors.rules()
          return {
            data: rules
              ? { allowed_headers: rules.headers, allowed_origins: rules.origins, enabled: true }
              : { enabled: false },
          }
        }),
        update: endpoint('Let pages of other origins ask.', corsFields, async ({ data }) => {
          if (!data.enable) return await disable()
          await cors.enable(data.allowed_origins ?? [], data.allowed_headers ?? [])
          return {}
        }),
        delete: endpoint('Let no page of another origin ask.', noFields, disable),
      },
    },
  ]
}

function uiPaths(headers: Settings['uiHeaders']): Path[] {
  return [
    {
      pattern: 'config/ui/headers',
      sudo: true,
      operations: {
        list: endpoint('Names of the headers that pages are sent with.', noFields, async () => ({
          data: { keys: await headers.names() },
        })),
      },
    },
    {
      pattern: 'config/ui/headers/:header',
      sudo: true,
      operations: {
        read: endpoint('What a header says.', uiReadFields, async ({ data }) => {
          const values = await headers.values(data.header)
          if (!values) return {}
          return { data: data.multivalue ? { values } : { value: values[0] } }
        }),
        update: endpoint('Set a header of pages.', uiWriteFields, (call) => setUiHeader(headers, call)),
        delete: endpoint('Remove a header of pages.', { header }, async ({ data }) => {
          await headers.remove(data.header)
          return {}
        }),
      },
    },
  ]
}

async function setUiHeader(headers: Settings['uiHeaders'], { data }: Call<typeof uiWriteFields>): Promise<Reply> {
  await headers.set(data.header, data.values ?? [])
  if (data.header.toLowerCase() !== 'content-security-policy') return { status: 200 }
  const text = 'overriding default Content-Security-Policy which is secure by default, proceed with caution'
  return { warnings: [text] }
}

function auditedPaths(headers: Settings['auditedHeaders']): Path[] {
  return [
    {
      pattern: 'config/auditing/request-headers',
      sudo: true,
      repeatsData: true,
      operations: {
        read: endpoint('Headers of requests that audit lines tell.', noFields, async () => ({
          data: { headers: await headers.all() },
        })),
      },
    },
    {
      pattern: 'config/auditing/request-headers/:header',
      sudo: true,
      repeatsData: true,
      operations: {
        read: endpoint('How audit lines tell a header.', { header }, async ({ data }) => {
          const setting = await headers.setting(data.header)
          if (!setting) throw new ApiError('invalid_request', 'Could not find header in config')
          return { data: { [data.header]: setting } }
        }),
        update: endpoint('Let audit lines tell a header.', auditedFields, async ({ data }) => {
          await headers.set(data.header, data.hmac)
          return {}
        }),
        delete: endpoint('Let audit lines tell a header no longer.', { header }, async ({ data }) => {
          await headers.remove(data.header)
          return {}
        }),
      },
    },
  ]
}

function versionPaths(versions: Settings['versions']): Path[] {
  return [
    {
      pattern: 'version-history',
      operations: {
        list: endpoint('Versions that have run on this store, the first first.', noFields, async () => {
          const all = await versions.all()
          return { data: { key_info: Object.fromEntries(all), keys: [...all.keys()] } }
        }),
      },
    },
  ]
}
