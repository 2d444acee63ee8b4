/**
 * The server's configuration: HCL or JSON with the Vault server's keys, from one file or a directory of files.
 *
 * Keys that have no meaning here but stand in many existing files (`disable_mlock`, `plugin_directory`, …) are taken and
 * left; unknown keys are told as warnings, so that a misspelt one does not pass in silence.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { parseDuration } from '#lib/duration.ts'
import { type HclObject, hclBlocks, hclToPlain, parseHcl } from '#lib/hcl.ts'
import { isObject } from '#sdk/schema.ts'

export interface ListenerConfig {
  /** `tcp` or `unix`. */
  type: string
  options: Record<string, string>
}

export interface ServerConfig {
  storage: { type: 'sqlite' | 'memory'; options: Record<string, string> }
  /** Where the ledger lies; undefined: beside the data, or in a temporary folder for a server that keeps nothing. */
  ledgerFolder: string | undefined
  seal: { type: string; options: Record<string, string> } | undefined
  listeners: ListenerConfig[]
  defaultLeaseTtlSeconds: number
  maxLeaseTtlSeconds: number
  clusterName: string | undefined
  /** For people: what was taken otherwise than written, what is unknown. */
  notices: string[]
}

/** 32 days, as every server of this API has it. */
const DEFAULT_LEASE_SECONDS = 768 * 3600
const MAX_CONFIG_FILES = 100

const ignored = new Set([
  'api_addr', 'cluster_addr', 'disable_mlock', 'disable_cache', 'cache_size', 'ui', 'plugin_directory', 'plugin_file_uid',
  'plugin_file_permissions', 'raw_storage_endpoint', 'introspection_endpoint', 'enable_response_header_hostname',
  'enable_response_header_raft_node_id', 'log_level', 'log_format', 'log_file', 'log_rotate_duration', 'log_rotate_bytes',
  'log_rotate_max_files', 'pid_file', 'telemetry', 'disable_performance_standby', 'disable_sealwrap', 'license_path',
  'disable_printable_check', 'unsafe_allow_api_audit_creation', 'disable_clustering', 'ha_storage', 'ha_backend',
  'service_registration', 'user_lockout', 'administrative_namespace_path', 'detect_deadlocks', 'default_max_request_duration',
  'allow_audit_log_prefixing', 'imprecise_lease_role_tracking', 'initialize',
])
const known = new Set(['storage', 'backend', 'listener', 'seal', 'ledger', 'default_lease_ttl', 'max_lease_ttl', 'cluster_name'])

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** @param places  files, or directories whose `.hcl` and `.json` files are read in the order of their names */
export function readConfig(places: readonly string[]): ServerConfig {
  const items = places.flatMap(filesAt).flatMap((file) => parseFile(file).items)
  return interpret({ items, json: false })
}

/** @throws ConfigError for text that cannot be used, with where and why */
export function parseConfig(text: string, name: string): ServerConfig {
  return interpret(parseText(text, name))
}

function filesAt(place: string): string[] {
  let isFolder: boolean
  try {
    isFolder = statSync(place).isDirectory()
  } catch {
    throw new ConfigError(`cannot read the configuration ${place}: no such file or folder`)
  }
  if (!isFolder) return [place]
  const files = readdirSync(place).filter((name) => /\.(hcl|json)$/.test(name)).toSorted()
  if (files.length === 0) throw new ConfigError(`no .hcl or .json file in ${place}`)
  if (files.length > MAX_CONFIG_FILES) throw new ConfigError(`more than ${MAX_CONFIG_FILES} files in ${place}`)
  return files.map((name) => path.join(place, name))
}

function parseFile(file: string): HclObject {
  return parseText(readFileSync(file, 'utf8'), file)
}

function parseText(text: string, name: string): HclObject {
  const parsed = parseHcl(text)
  if (!parsed.ok) throw new ConfigError(`${name}:${parsed.line}:${parsed.column}: ${parsed.message}`)
  return parsed.value
}

function interpret(root: HclObject): ServerConfig {
  const notices: string[] = []
  for (const { keys } of root.items) {
    const name = keys[0]!
    if (!known.has(name) && !ignored.has(name)) notices.push(`unknown key "${name}" in the configuration is ignored`)
  }
  const storages = [...hclBlocks(root, 'storage', 1), ...hclBlocks(root, 'backend', 1)]
  if (storages.length > 1) throw new ConfigError('more than one storage is configured')
  const seals = hclBlocks(root, 'seal', 1).filter(({ body }) => optionsOf(body)['disabled'] !== 'true')
  if (seals.length > 1) throw new ConfigError('more than one seal is configured')
  const [ledger] = hclBlocks(root, 'ledger', 0)
  const listeners = hclBlocks(root, 'listener', 1).map(({ labels, body }) => ({ type: labels[0]!, options: optionsOf(body) }))
  if (listeners.length === 0) throw new ConfigError('no listener is configured: add listener "tcp" { address = "127.0.0.1:8200" … }')
  for (const { type } of listeners) {
    if (type !== 'tcp' && type !== 'unix') throw new ConfigError(`listener "${type}" is not known: use "tcp" or "unix"`)
  }
  return {
    storage: storageOf(storages[0], notices),
    ledgerFolder: ledger && optionsOf(ledger.body)['path'],
    seal: seals[0] && { type: seals[0].labels[0]!, options: optionsOf(seals[0].body) },
    listeners,
    defaultLeaseTtlSeconds: seconds(root, 'default_lease_ttl'),
    maxLeaseTtlSeconds: seconds(root, 'max_lease_ttl'),
    clusterName: text(root, 'cluster_name'),
    notices,
  }
}

function storageOf(block: { labels: string[]; body: HclObject } | undefined, notices: string[]): ServerConfig['storage'] {
  if (!block) throw new ConfigError('no storage is configured: add storage "sqlite" { path = "…" }')
  const type = block.labels[0]!
  const options = optionsOf(block.body)
  switch (type) {
    case 'inmem':
    case 'memory':
      return { type: 'memory', options: {} }
    case 'file':
    case 'raft':
      notices.push(`storage "${type}" is taken as the embedded store in the same folder; data of another server there is not read`)
      return { type: 'sqlite', options: { path: requiredPath(type, options) } }
    case 'sqlite':
      return { type: 'sqlite', options: { path: requiredPath(type, options) } }
    default:
      throw new ConfigError(`storage "${type}" is not known: use "sqlite" { path = "…" } or "inmem" {}`)
  }
}

function requiredPath(type: string, options: Record<string, string>): string {
  const given = options['path']
  if (!given) throw new ConfigError(`storage "${type}" needs a path`)
  return given
}

/** Attributes of a block as text, as engines of options take them. */
function optionsOf(body: HclObject): Record<string, string> {
  const plain = hclToPlain(body)
  if (!isObject(plain)) return {}
  return Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]))
}

function text(root: HclObject, name: string): string | undefined {
  const value = root.items.findLast(({ keys }) => keys.length === 1 && keys[0] === name)?.value
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}

function seconds(root: HclObject, name: string): number {
  const given = text(root, name)
  const parsed = given === undefined ? 0 : parseDuration(given)
  if (parsed === undefined || parsed < 0) throw new ConfigError(`${name} is not a duration such as "768h": ${given}`)
  return parsed || DEFAULT_LEASE_SECONDS
}
