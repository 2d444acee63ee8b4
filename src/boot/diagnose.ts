/**
 * `operator diagnose`: looks at everything that a server with this configuration needs, without one. Changes nothing, and
 * may run beside a running server. Never prints a key or an option that may be one.
 */
import { diagnoseConfig } from './diagnose-config.ts'
import { diagnoseListener } from './diagnose-listeners.ts'
import { diagnoseSeal } from './diagnose-seal.ts'
import { diagnoseAudit, diagnoseLedger, diagnoseStorage, storageInUse } from './diagnose-storage.ts'
import { diagnoseSystem } from './diagnose-system.ts'
import { asJson, asText, type Chapter, exitCode, type Finding, skip } from './diagnosis.ts'
import { ConfigError, type ServerConfig } from './config.ts'
import { type FlagSpec, parseFlags } from './flags.ts'

const flags = {
  config: { kind: 'text', many: true, about: 'Configuration of the server.' },
  skip: { kind: 'text', many: true, about: 'A part to leave out.' },
  format: { kind: 'text', about: 'table or json.' },
  debug: { kind: 'boolean', about: 'Also how long each part took.' },
} satisfies Record<string, FlagSpec>

/** With the names that the Vault CLI has for the same. */
export const parts = ['system', 'listener', 'storage', 'autounseal', 'audit'] as const

export async function diagnoseCommand(args: readonly string[]): Promise<number> {
  const parsed = parseFlags(flags, args)
  if (!parsed.ok) throw new ConfigError(parsed.message)
  const { values } = parsed
  const places = values.get('config')
  if (!places) throw new ConfigError('say which configuration: -config=FILE')
  const skipped = (values.get('skip') ?? []).flatMap((each) => each.split(',')).map((each) => each.trim())
  const unknown = skipped.find((each) => !(parts as readonly string[]).includes(each))
  if (unknown !== undefined) throw new ConfigError(`-skip is one of ${parts.join(', ')}, not "${unknown}"`)
  const chapters = await diagnose(places, new Set(skipped))
  const json = values.get('format')?.[0] === 'json'
  process.stdout.write(json ? `${JSON.stringify(asJson(chapters))}\n` : asText(chapters, values.has('debug')))
  return exitCode(chapters)
}

export async function diagnose(places: readonly string[], skipped: ReadonlySet<string>): Promise<Chapter[]> {
  let config: ServerConfig | undefined
  const chapters = [
    await chapter('Configuration', async () => {
      const read = diagnoseConfig(places)
      config = read.config
      return read.findings
    }),
  ]
  const add = async (part: string, name: string, look: (config: ServerConfig) => Promise<Finding[]>) => {
    const findings = async () => {
      if (skipped.has(part)) return [skip(part, 'left out, as asked')]
      return config ? look(config) : [skip(part, 'the configuration cannot be used')]
    }
    chapters.push(await chapter(name, findings))
  }
  await add('system', 'Operating system', async () => diagnoseSystem())
  const running = config !== undefined && storageInUse(config)
  await add('storage', 'Storage', async (given) => [
    ...(await diagnoseStorage(given, running)),
    ...diagnoseLedger(given),
  ])
  await add('autounseal', 'Seal', diagnoseSeal)
  for (const stanza of config?.listeners ?? []) {
    await add('listener', `Listener ${stanza.type} ${stanza.options['address'] ?? '127.0.0.1:8200'}`, () =>
      diagnoseListener(stanza, running),
    )
  }
  await add('audit', 'Audit devices', async (given) => diagnoseAudit(given))
  return chapters
}

async function chapter(name: string, look: () => Promise<Finding[]>): Promise<Chapter> {
  const startedAt = performance.now()
  const findings = await look()
  return { name, findings, tookMs: performance.now() - startedAt }
}
