/** `listener` stanzas of the configuration as listeners that answer; certificates are looked at before anything is opened. */
import { readFileSync } from 'node:fs'
import { type ListenerOptions, parseAddress } from '#http/options.ts'
import { parseDuration } from '#lib/duration.ts'
import type { Redaction } from '#request/incoming.ts'
import { booleanOption, type Stanza } from './config.ts'
import { forwarding, proxyProtocol } from './listener-proxies.ts'
import { refused } from './listener-refusal.ts'
import { tlsOptions } from './listener-tls.ts'
import { listenerCors, responseHeaders } from './response-headers.ts'
import { openPaths } from './telemetry.ts'

/** What the file says for all listeners. */
export interface ForAll {
  maxRequestSeconds?: number | undefined
  hostname?: string | undefined
}

/** @throws ConfigError for a stanza that cannot be used */
export function listenerOptions(stanza: Stanza, forAll: ForAll = {}): ListenerOptions {
  const { type, options } = stanza
  if (options['chroot_namespace']) {
    // Left out, it would open to everybody what was meant for one namespace.
    throw refused(stanza, 'chroot_namespace is not available in this version')
  }
  const secure = type === 'tcp' && !booleanOption(stanza, 'tls_disable')
  const proxies = { proxyProtocol: proxyProtocol(stanza), forwarding: forwarding(stanza) }
  const cors = listenerCors(stanza)
  const open = openPaths(stanza)
  return {
    address: addressOf(stanza),
    ...(secure && { tls: tlsOptions(stanza) }),
    ...given('socketMode', modeOf(stanza)),
    ...given('socketOwner', ownerOf(stanza)),
    ...given('proxyProtocol', proxies.proxyProtocol),
    ...given('forwarding', proxies.forwarding),
    ...given('redaction', redactionOf(stanza)),
    ...given('hostname', forAll.hostname),
    ...given('responseHeaders', responseHeaders(stanza)),
    ...given('crossOrigin', cors && (async () => cors)),
    ...(open.length > 0 && { open: new Set(open) }),
    limits: {
      ...given('maxRequestBytes', wholeNumber(stanza, 'max_request_size')),
      ...given('maxJsonDepth', wholeNumber(stanza, 'max_json_depth')),
      ...given('maxJsonStringBytes', wholeNumber(stanza, 'max_json_string_value_length')),
      ...given('maxJsonObjectEntries', wholeNumber(stanza, 'max_json_object_entry_count')),
      ...given('maxJsonArrayElements', wholeNumber(stanza, 'max_json_array_element_count')),
      ...given('maxRequestSeconds', seconds(stanza, 'max_request_duration') ?? forAll.maxRequestSeconds),
      ...given('headerSeconds', seconds(stanza, 'http_read_header_timeout')),
      ...given('readSeconds', seconds(stanza, 'http_read_timeout')),
      ...given('idleSeconds', seconds(stanza, 'http_idle_timeout')),
    },
  }
}

function addressOf(stanza: Stanza): string {
  const address = stanza.options['address']
  if (stanza.type === 'unix') {
    if (!address) throw refused(stanza, 'needs an address: the path of the socket')
    return address.includes('/') ? address : `./${address}`
  }
  const tcp = address || '127.0.0.1:8200'
  let usable = !tcp.includes('/')
  try {
    parseAddress(tcp)
  } catch {
    usable = false
  }
  if (!usable) throw refused(stanza, `address is host:port, such as "127.0.0.1:8200", not "${tcp}"`)
  return tcp
}

function modeOf(stanza: Stanza): number | undefined {
  const text = stanza.options['socket_mode']
  if (text === undefined || text === '') return undefined
  if (!/^0?[0-7]{3}$/.test(text))
    throw refused(stanza, `socket_mode is three octal digits, such as "660", not "${text}"`)
  return Number.parseInt(text, 8)
}

/** Whom the socket is given to: names of this machine, or numbers. */
function ownerOf(stanza: Stanza): { uid?: number; gid?: number } | undefined {
  const uid = idOf(stanza, 'socket_user', '/etc/passwd')
  const gid = idOf(stanza, 'socket_group', '/etc/group')
  return uid === undefined && gid === undefined ? undefined : { ...given('uid', uid), ...given('gid', gid) }
}

function idOf(stanza: Stanza, option: string, table: string): number | undefined {
  const name = stanza.options[option]
  if (name === undefined || name === '') return undefined
  if (/^\d{1,9}$/.test(name)) return Number(name)
  let lines: string[]
  try {
    lines = readFileSync(table, 'utf8').split('\n')
  } catch (error) {
    throw refused(stanza, `${option}: ${table} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
  const found = lines.map((line) => line.split(':')).find(([each]) => each === name)
  if (!found || !/^\d+$/.test(found[2] ?? '')) throw refused(stanza, `${option} "${name}" is not in ${table}`)
  return Number(found[2])
}

function redactionOf(stanza: Stanza): Redaction | undefined {
  const redaction = {
    addresses: booleanOption(stanza, 'redact_addresses'),
    clusterName: booleanOption(stanza, 'redact_cluster_name'),
    version: booleanOption(stanza, 'redact_version'),
  }
  return Object.values(redaction).includes(true) ? redaction : undefined
}

function given<K extends string, V>(name: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [name]: value }) as { [P in K]?: V }
}

/** 0 stands for "as by default", here and in durations. */
function wholeNumber(stanza: Stanza, name: string): number | undefined {
  const text = stanza.options[name]
  if (text === undefined) return undefined
  if (!/^\d{1,12}$/.test(text)) throw refused(stanza, `${name} is a whole number, not "${text}"`)
  return Number(text) || undefined
}

function seconds(stanza: Stanza, name: string): number | undefined {
  const text = stanza.options[name]
  if (text === undefined) return undefined
  const parsed = parseDuration(text)
  if (parsed === undefined || parsed < 0) throw refused(stanza, `${name} is a duration such as "90s", not "${text}"`)
  return parsed || undefined
}
