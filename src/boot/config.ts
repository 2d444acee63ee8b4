/**
 * The server's configuration: HCL or JSON with the Vault server's keys, from one file or a directory of files.
 *
 * Keys that have no meaning here but stand in many existing files (`disable_mlock`, `plugin_directory`, …) are taken and
 * left. Keys that mean something elsewhere and do nothing here, and unknown ones, are told as notices, so that neither a
 * misspelt key nor a missing feature passes in silence. What cannot be used is an error with file, line and column.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { parseDuration } from '#lib/duration.ts'
import { type HclItem, type HclObject, hclBlocks, hclToPlain, parseHcl } from '#lib/hcl.ts'
import { isObject } from '#sdk/schema.ts'
import { auditKeys, effectOf, ledgerKeys, type Spread, tellUnknown, topKeys } from './config-keys.ts'
import { storageOf, type StorageChoice } from './config-storage.ts'
import { listenerKeys } from './listener-keys.ts'
import { parseWorkers, WORKERS_ARE } from './workers/count.ts'

/** A block with one label: `listener "tcp" { … }`. */
export interface Stanza {
  type: string
  options: Record<string, string>
  /** File, line and column, for messages. */
  at: string
}

/** Top-level keys with one value, by name: its text, and where it stands. Of a key that is repeated the last one counts. */
export type Scalars = Readonly<Record<string, { text: string; at: string }>>

/** `audit "file" "to-disk" { options { file_path = "…" } }`: a device that is enabled at the first unseal. */
export interface AuditStanza {
  type: string
  path: string
  description: string
  options: Record<string, string>
  at: string
}

export interface ServerConfig {
  storage: StorageChoice
  /** Where the ledger lies; undefined: beside the data, or in a temporary folder for a server that keeps nothing. */
  ledgerFolder: string | undefined
  auditDevices: AuditStanza[]
  /** By auth method, and `all`. */
  userLockout: Stanza[]
  telemetry: Stanza | undefined
  seal: Stanza | undefined
  /** The stanza with `disabled = "true"`: what the store is migrated from. */
  leavingSeal: Stanza | undefined
  /** Of type `tcp` or `unix`; at least one. */
  listeners: Stanza[]
  defaultLeaseTtlSeconds: number
  maxLeaseTtlSeconds: number
  clusterName: string | undefined
  /** False if it is said anywhere, at the top or by any listener: what is closed at one door must not stand open at another. */
  unauthedRekey: boolean
  apiAddress: string | undefined
  /** Where the process writes its number while it runs. */
  pidFile: string | undefined
  /** For listeners that do not say it themselves. */
  maxRequestSeconds: number | undefined
  /** Threads that answer requests. */
  workers: number | undefined
  /** Tell the name of this machine in every answer. */
  tellHostname: boolean
  scalars: Scalars
  /** For people: what was taken otherwise than written, what is unknown. */
  notices: string[]
}

/** 32 days, as every server of this API has it. */
export const DEFAULT_LEASE_SECONDS = 768 * 3600
const MAX_CONFIG_FILES = 100
const MAX_CONFIG_FILE_BYTES = 4 * 1024 * 1024

export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

interface Source {
  name: string
  object: HclObject
}

interface Block {
  labels: string[]
  body: HclObject
  at: string
}

/** @param places  files, or directories whose `.hcl` and `.json` files are read in the order of their names */
export function readConfig(places: readonly string[]): ServerConfig {
  return interpret(places.flatMap(filesAt).map((file) => ({ name: file, object: parse(readText(file), file) })))
}

/** @throws ConfigError for text that cannot be used, with where and why */
export function parseConfig(text: string, name: string): ServerConfig {
  return interpret([{ name, object: parse(text, name) }])
}

/** @throws ConfigError for anything but the forms of truth that the Vault server takes */
export function booleanOption({ options, at }: Stanza, name: string): boolean {
  const truth = truthOf(options[name] ?? '')
  if (truth === undefined) throw new ConfigError(`${at}: ${name} is true or false, not "${options[name]}"`)
  return truth
}

/** Undefined for what is neither. */
export function truthOf(text: string): boolean | undefined {
  if (/^(?:0|f|false|F|False|FALSE|)$/.test(text)) return false
  return /^(?:1|t|true|T|True|TRUE)$/.test(text) ? true : undefined
}

/** A file itself, or the configuration files of a folder in their order. @throws ConfigError if there are none */
export function filesAt(place: string): string[] {
  if (!statOf(place).isDirectory()) return [place]
  const files = readdirSync(place)
    // What editors leave behind is not configuration.
    .filter((name) => /^[^.#].*\.(?:hcl|json)$/.test(name))
    .toSorted()
    .map((name) => path.join(place, name))
    .filter((file) => !statOf(file).isDirectory())
  if (files.length === 0) throw new ConfigError(`no .hcl or .json file in ${place}`)
  if (files.length > MAX_CONFIG_FILES) throw new ConfigError(`more than ${MAX_CONFIG_FILES} files in ${place}`)
  return files
}

function statOf(place: string) {
  try {
    return statSync(place)
  } catch (error) {
    throw unreadable(place, error)
  }
}

function readText(file: string): string {
  if (statOf(file).size > MAX_CONFIG_FILE_BYTES) {
    throw new ConfigError(`the configuration ${file} has more than ${MAX_CONFIG_FILE_BYTES} bytes`)
  }
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw unreadable(file, error)
  }
}

function unreadable(place: string, error: unknown): ConfigError {
  const { code } = error as NodeJS.ErrnoException
  const why = { ENOENT: 'no such file or folder', EACCES: 'not allowed' }[code ?? ''] ?? String(error)
  return new ConfigError(`cannot read the configuration ${place}: ${why}`)
}

function parse(text: string, name: string): HclObject {
  const parsed = parseHcl(text)
  if (!parsed.ok) throw new ConfigError(`${name}:${parsed.line}:${parsed.column}: ${parsed.message}`)
  return parsed.value
}

function interpret(sources: readonly Source[]): ServerConfig {
  const notices: string[] = []
  const blocks = (name: string, labels: number) => sources.flatMap((source) => blocksOf(source, name, labels))
  for (const { name, object } of sources) {
    for (const item of object.items) notice(topKeys, item.keys[0]!, `${name}:${item.line}:${item.column}`, notices)
  }
  const storage = onlyOne([...blocks('storage', 1), ...blocks('backend', 1)], 'storage')
  if (!storage)
    throw new ConfigError(`${named(sources)}: no storage is configured: add storage "sqlite" { path = "…" }`)
  const ledger = onlyOne(blocks('ledger', 0), 'ledger')
  const choice = storageOf({ ...stanzaOf(storage), refuse }, notices)
  const listeners = listenersOf(blocks('listener', 1), named(sources), notices)
  const seals = blocks('seal', 1).map(stanzaOf)
  const defaultTtl = seconds(sources, 'default_lease_ttl')
  const maxTtlSeconds = seconds(sources, 'max_lease_ttl') ?? DEFAULT_LEASE_SECONDS
  const defaultTtlSeconds = defaultTtl ?? Math.min(DEFAULT_LEASE_SECONDS, maxTtlSeconds)
  if (defaultTtlSeconds > maxTtlSeconds) {
    throw new ConfigError(`${named(sources)}: default_lease_ttl is longer than max_lease_ttl (768h unless given)`)
  }
  return {
    storage: choice,
    ledgerFolder: ledger ? ledgerFolderOf(ledger, notices) : ownLedgerFolder(choice, notices),
    auditDevices: blocks('audit', 2).map((block) => auditDeviceOf(block, notices)),
    userLockout: blocks('user_lockout', 1).map(stanzaOf),
    telemetry: onlyOne(blocks('telemetry', 0).map(stanzaOf), 'telemetry'),
    seal: onlyOne(
      seals.filter((seal) => !booleanOption(seal, 'disabled')),
      'seal',
    ),
    leavingSeal: onlyOne(
      seals.filter((seal) => booleanOption(seal, 'disabled')),
      'disabled seal',
    ),
    listeners,
    defaultLeaseTtlSeconds: defaultTtlSeconds,
    maxLeaseTtlSeconds: maxTtlSeconds,
    clusterName: scalar(sources, 'cluster_name')?.text,
    unauthedRekey: ![...listeners, topStanza(sources)].some((each) =>
      booleanOption(each, 'disable_unauthed_rekey_endpoints'),
    ),
    apiAddress: scalar(sources, 'api_addr')?.text,
    pidFile: scalar(sources, 'pid_file')?.text || undefined,
    workers: workersOf(scalar(sources, 'workers')),
    maxRequestSeconds: seconds(sources, 'default_max_request_duration'),
    tellHostname: booleanOption(topStanza(sources), 'enable_response_header_hostname'),
    scalars: scalarsOf(sources),
    notices,
  }
}

function blocksOf({ name, object }: Source, key: string, labelCount: number): Block[] {
  const blocks = hclBlocks(object, key, labelCount, ({ line, column }) => {
    throw new ConfigError(
      `${name}:${line}:${column}: ${key} is a block: ${key}${[' "type"', ' "path"'].slice(0, labelCount).join('')} { … }`,
    )
  })
  return blocks.map(({ labels, body, line, column }) => {
    const at = `${name}:${line}:${column}`
    if (labels.length !== labelCount) {
      const given = labels.length === 0 ? 'none' : labels.map((label) => JSON.stringify(label)).join(' ')
      throw new ConfigError(
        `${at}: ${key} has ${['no label', 'one label, its type', 'two labels, its type and path'][labelCount]}; given: ${given}`,
      )
    }
    return { labels, body, at }
  })
}

function onlyOne<T extends { at: string }>(all: readonly T[], what: string): T | undefined {
  const [first, second] = all
  if (first && second)
    throw new ConfigError(`${second.at}: more than one ${what} is configured; the first is at ${first.at}`)
  return first
}

function stanzaOf({ labels, body, at }: Block): Stanza {
  return { type: labels[0] ?? '', options: optionsOf(body), at }
}

function listenersOf(blocks: readonly Block[], files: string, notices: string[]): Stanza[] {
  const listeners = blocks.map(stanzaOf)
  if (listeners.length === 0) {
    throw new ConfigError(`${files}: no listener is configured: add listener "tcp" { address = "127.0.0.1:8200" … }`)
  }
  for (const { type, options, at } of listeners) {
    if (type !== 'tcp' && type !== 'unix') {
      throw new ConfigError(`${at}: listener "${type}" is not known: use "tcp" or "unix"`)
    }
    for (const name of Object.keys(options)) notice(listenerKeys, name, `${at}: listener "${type}"`, notices)
  }
  return listeners
}

/** A store that several nodes share has no place for what is this node's own. */
function ownLedgerFolder({ type }: StorageChoice, notices: string[]): string | undefined {
  if (type !== 'postgres') return undefined
  const folder = path.resolve('strongroom-ledger')
  notices.push(`the audit ledger of this node lies in ${folder}: name a folder with ledger { path = "…" }`)
  return folder
}

function ledgerFolderOf({ body, at }: Block, notices: string[]): string {
  const options = optionsOf(body)
  if (!options['path']) throw new ConfigError(`${at}: ledger needs a path`)
  tellUnknown(ledgerKeys, options, at, 'ledger', notices)
  return options['path']
}

function auditDeviceOf({ labels, body, at }: Block, notices: string[]): AuditStanza {
  const given = optionsOf(body)
  tellUnknown(auditKeys, given, at, 'audit', notices)
  const options = Object.assign({}, ...hclBlocks(body, 'options', 0).map((block) => optionsOf(block.body))) as Record<
    string,
    string
  >
  return { type: labels[0]!, path: labels[1]!, description: given['description'] ?? '', options, at }
}

function notice(keys: Spread, name: string, where: string, notices: string[]): void {
  const effect = effectOf(keys, name)
  if (effect === 'none') notices.push(`${where}: "${name}" has no effect in this version`)
  if (effect === 'unknown') notices.push(`${where}: unknown key "${name}" is ignored`)
}

/** Attributes of a block as text, as engines of options take them. What is null is not there. */
function optionsOf(body: HclObject): Record<string, string> {
  const plain = hclToPlain(body)
  if (!isObject(plain)) return {}
  const given = Object.entries(plain).filter(([, value]) => value !== null)
  return Object.fromEntries(
    given.map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]),
  )
}

function scalarsOf(sources: readonly Source[]): Scalars {
  const scalars: Record<string, { text: string; at: string }> = Object.create(null)
  for (const { name: file, object } of sources) {
    for (const { keys, value, line, column } of object.items) {
      const isScalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      if (keys.length === 1 && isScalar) scalars[keys[0]!] = { text: String(value), at: `${file}:${line}:${column}` }
    }
  }
  return scalars
}

/** Of a key that is given several times, the last one counts. */
function scalar(sources: readonly Source[], name: string): { text: string; at: string } | undefined {
  const found = sources.flatMap(({ name: file, object }) =>
    object.items.filter(({ keys, value }) => keys[0] === name && value !== null).map((item) => ({ file, item })),
  )
  const last = found.at(-1)
  return last && { text: textOf(last.item, last.file), at: `${last.file}:${last.item.line}:${last.item.column}` }
}

function workersOf(given: { text: string; at: string } | undefined): number | undefined {
  const count = parseWorkers(given?.text)
  if (count === 'unusable') throw new ConfigError(`${given!.at}: ${WORKERS_ARE}, not "${given!.text}"`)
  return count
}

/** What stands at the top, in the form of a block. */
function topStanza(sources: readonly Source[]): Stanza {
  const plain = Object.assign({}, ...sources.map(({ object }) => optionsOf(object))) as Record<string, string>
  return { type: '', options: plain, at: named(sources) }
}

function textOf({ keys, value, line, column }: HclItem, file: string): string {
  if (keys.length === 1 && (typeof value === 'string' || typeof value === 'number')) return String(value)
  throw new ConfigError(`${file}:${line}:${column}: ${keys[0]} is a text or a number`)
}

/** Undefined if it is not given, or given as 0, which stands for the same. */
function seconds(sources: readonly Source[], name: string): number | undefined {
  const given = scalar(sources, name)
  if (!given) return undefined
  const parsed = parseDuration(given.text)
  if (parsed === undefined || parsed < 0) {
    throw new ConfigError(`${given.at}: ${name} is a duration such as "768h", not "${given.text}"`)
  }
  return parsed || undefined
}

function refuse(text: string): never {
  throw new ConfigError(text)
}

function named(sources: readonly Source[]): string {
  return sources.map(({ name }) => name).join(', ')
}
