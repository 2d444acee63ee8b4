/**
 * Options of a `seal` stanza. As with other servers of this API, a variable of the environment goes before the same option
 * in the file; but not for a seal that is disabled, since with two seals of one type it would stand for both.
 */
import { open } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ApiError } from '#sdk/errors.ts'

/** Every option with the variables that may stand for it; of a `VAULT_` one also the name with `BAO_`, which goes first. */
export type SettingSpec = Readonly<Record<string, readonly string[]>>
export type Settings<Spec extends SettingSpec> = Partial<Record<keyof Spec, string>>

/** Secrets with line breaks at the end, and no more. */
const MAX_SECRET_BYTES = 4096

/** @throws ApiError `invalid_request` that names options and never what they say */
export function readSettings<const Spec extends SettingSpec>(
  kind: string,
  spec: Spec,
  options: Readonly<Record<string, string>>,
  env: NodeJS.ProcessEnv,
): Settings<Spec> {
  const unknown = Object.keys(options).filter((name) => name !== 'disabled' && !Object.hasOwn(spec, name))
  if (unknown.length > 0) throw unusable(kind, `unknown options: ${unknown.join(', ')}`)
  const isDisabled = asBoolean(kind, 'disabled', options['disabled'])
  const settings: Record<string, string> = {}
  for (const [name, variables] of Object.entries(spec)) {
    const inFile = options[name] || undefined
    const outside = variables.flatMap((each) => [each.replace(/^VAULT_/, 'BAO_'), each]).find((each) => env[each])
    const value = isDisabled ? (inFile ?? env[outside ?? '']) : (env[outside ?? ''] ?? inFile)
    if (value) settings[name] = value
  }
  return settings as Settings<Spec>
}

/** @throws ApiError `invalid_request` naming what is missing */
export function needed<Spec extends SettingSpec>(
  kind: string,
  spec: Spec,
  settings: Settings<Spec>,
  name: keyof Spec & string,
): string {
  const value = settings[name]
  if (value !== undefined) return value
  const variables = spec[name]!
  throw unusable(kind, `${name} is required${variables.length > 0 ? ` (or ${variables.join(', ')})` : ''}`)
}

/** @throws ApiError `invalid_request` */
export function asBoolean(kind: string, name: string, text: string | undefined): boolean {
  if (text === undefined || /^(?:0|f|false|)$/i.test(text)) return false
  if (/^(?:1|t|true)$/i.test(text)) return true
  throw unusable(kind, `${name} is true or false`)
}

/** What an option says: the text itself, or what it points to with `file:///path` or `env://NAME`. The caller wipes it. */
export async function readGiven(kind: string, option: string, given: string): Promise<Buffer> {
  if (given.startsWith('env://')) {
    const name = given.slice('env://'.length)
    const text = process.env[name]
    if (text === undefined) throw unusable(kind, `${option}: the environment variable ${name} is not set`)
    return Buffer.from(text)
  }
  if (!given.startsWith('file://')) return Buffer.from(given)
  // Also `file://relative/path`, which is no proper URL but is written.
  const path = given.startsWith('file:///') ? fileURLToPath(given) : given.slice('file://'.length)
  return await readFileAt(kind, option, path, MAX_SECRET_BYTES)
}

/** The same as text, without line breaks at its end. */
export async function readSecretText(kind: string, option: string, given: string): Promise<string> {
  const bytes = await readGiven(kind, option, given)
  const text = bytes.toString('utf8').trim()
  bytes.fill(0)
  if (text === '') throw unusable(kind, `${option} is empty`)
  return text
}

/** At most `maxBytes` of a file. @throws ApiError `invalid_request`; the reason names the file */
export async function readFileAt(kind: string, option: string, path: string, maxBytes: number): Promise<Buffer> {
  try {
    const file = await open(path, 'r')
    try {
      const buffer = Buffer.alloc(maxBytes)
      const { bytesRead } = await file.read(buffer, 0, maxBytes, 0)
      return buffer.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  } catch (error) {
    throw new ApiError('invalid_request', `seal "${kind}": ${option}: the file cannot be read`, {
      reason: String(error),
      cause: error,
    })
  }
}

/** The configuration is at fault. @param message  names options, never their values */
export function unusable(kind: string, message: string): ApiError {
  return new ApiError('invalid_request', `seal "${kind}": ${message}`)
}

/** Whoever has the key is at fault, or the way to him. @param reason  for the log: may name hosts, never a secret */
export function failing(kind: string, message: string, reason: string, cause?: unknown): ApiError {
  return new ApiError('upstream_failed', `seal "${kind}": ${message}`, { reason, cause })
}
