/**
 * What `storage "postgres"` says, together with the environment: where the database is, how it is talked to, and the
 * limits. The keys are those of the Vault server; `max_staleness` is ours.
 */
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import type { ConnectionOptions } from 'node:tls'
import type { ClientConfig } from 'pg'
import { ApiError } from '#sdk/errors.ts'
import { parseConnection } from './connection.ts'

const DEFAULT_TABLE = 'strongroom'
const DEFAULT_STALENESS_MS = 1000
const MIN_STALENESS_MS = 50
const MAX_STALENESS_MS = 60_000
const DEFAULT_PARALLEL = 16
const MAX_PARALLEL = 1000
/** PostgreSQL cuts longer names off, and two tables could become one. */
const MAX_TABLE_BYTES = 48
/** A statement, a connection, a wait for a connection. */
const LIMIT_MS = 5000
/** All tries of one commit together. */
const COMMIT_LIMIT_MS = 10_000

/** One of these is asked; the others are for when it is gone. */
export interface Host {
  host: string
  port: number
  tls: ConnectionOptions | undefined
}

export interface Place {
  hosts: readonly Host[]
  client: ClientConfig
  /** With `sslmode=prefer` (the default, as in libpq): without TLS if the server has none. */
  plainIfRefused: boolean
  /** What each connection is told first. */
  session: readonly string[]
}

export interface Settings {
  place: Place
  table: string
  maxParallel: number
  maxIdle: number
  /** How old what is served from memory may be. */
  stalenessMs: number
  limitMs: number
  commitLimitMs: number
  /** Make the tables if they are not there. */
  create: boolean
  /** How often the first connection is tried. */
  connectTries: number
}

export type Environment = Readonly<Record<string, string | undefined>>

/** @throws ApiError `invalid_request` for what cannot be used */
export function settingsOf(options: Readonly<Record<string, string>>, environment: Environment): Settings {
  const url =
    environment['BAO_PG_CONNECTION_URL'] || environment['VAULT_PG_CONNECTION_URL'] || options['connection_url'] || ''
  const table = options['table'] || DEFAULT_TABLE
  if (Buffer.byteLength(table) > MAX_TABLE_BYTES || table.includes('\0')) {
    throw refused(`table has at most ${MAX_TABLE_BYTES} bytes`)
  }
  const maxParallel = countOf(options, 'max_parallel', DEFAULT_PARALLEL)
  return {
    place: placeOf(url, environment),
    table,
    maxParallel,
    maxIdle: Math.min(countOf(options, 'max_idle_connections', Math.min(maxParallel, 4)), maxParallel),
    stalenessMs: stalenessOf(options['max_staleness']),
    limitMs: LIMIT_MS,
    commitLimitMs: COMMIT_LIMIT_MS,
    create: options['skip_create_table'] !== 'true',
    connectTries: countOf(options, 'max_connect_retries', 1),
  }
}

function placeOf(url: string, environment: Environment): Place {
  const given = parseConnection(url)
  const value = (name: string, variable: string) => given[name] ?? (environment[variable] || undefined)
  const names = (value('host', 'PGHOST') ?? 'localhost').split(',')
  const ports = (value('port', 'PGPORT') ?? '5432').split(',')
  if (ports.length > 1 && ports.length !== names.length) throw refused('connection_url has not as many ports as hosts')
  const { tls, plainIfRefused } = tlsOf(value)
  const hosts = names.map((name, index): Host => {
    const port = Number(ports[index] ?? ports[0])
    if (!Number.isInteger(port) || port < 1 || port > 65_535) throw refused('the port of connection_url is no port')
    const host = name || 'localhost'
    const servername = /^[\d.:]+$/.test(host) ? '' : host
    return { host, port, tls: host.startsWith('/') || tls === undefined ? undefined : { ...tls, servername } }
  })
  const user = value('user', 'PGUSER') ?? environment['USER']
  const client: ClientConfig = {
    user,
    password: value('password', 'PGPASSWORD') ?? '',
    database: value('dbname', 'PGDATABASE') ?? user,
    application_name: value('application_name', 'PGAPPNAME') ?? 'strongroom',
    options: value('options', 'PGOPTIONS'),
  } as ClientConfig
  const searchPath = given['search_path']
  return {
    hosts,
    client,
    plainIfRefused,
    session: [
      ...(searchPath === undefined ? [] : [`SET search_path TO ${searchPath.split(',').map(quoted).join(', ')}`]),
      `SET statement_timeout = ${LIMIT_MS}`,
      `SET lock_timeout = ${LIMIT_MS}`,
      // A node that stands still while it holds the lock of the writers must not hold up the others for long.
      `SET idle_in_transaction_session_timeout = ${LIMIT_MS}`,
      'SET standard_conforming_strings = on',
      'SET bytea_output = hex',
      // What is acknowledged is durable, whatever the database does for others.
      "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
    ],
  }
}

/** As libpq: `prefer` and `require` encrypt and look at no certificate, `verify-ca` and `verify-full` do. */
function tlsOf(value: (name: string, variable: string) => string | undefined): {
  tls: ConnectionOptions | undefined
  plainIfRefused: boolean
} {
  const mode = value('sslmode', 'PGSSLMODE') ?? 'prefer'
  if (mode === 'disable' || mode === 'allow') return { tls: undefined, plainIfRefused: false }
  if (!['prefer', 'require', 'verify-ca', 'verify-full'].includes(mode)) throw refused(`sslmode is not "${mode}"`)
  const file = (name: string, variable: string) => {
    const place = value(name, variable)
    return place === undefined ? undefined : readText(place)
  }
  const ca = value('sslrootcert', 'PGSSLROOTCERT') === 'system' ? undefined : file('sslrootcert', 'PGSSLROOTCERT')
  const verified = mode.startsWith('verify') || (mode === 'require' && ca !== undefined)
  const tls: ConnectionOptions = { rejectUnauthorized: verified }
  const [cert, key] = [file('sslcert', 'PGSSLCERT'), file('sslkey', 'PGSSLKEY')]
  if (ca !== undefined) tls.ca = ca
  if (cert !== undefined) tls.cert = cert
  if (key !== undefined) tls.key = key
  if (mode !== 'verify-full') tls.checkServerIdentity = () => undefined
  return { tls, plainIfRefused: mode === 'prefer' }
}

function readText(place: string): string {
  try {
    return readFileSync(place.replace(/^~(?=\/)/, homedir()), 'utf8')
  } catch (error) {
    throw new ApiError('invalid_request', `storage "postgres": cannot read ${place}`, { cause: error })
  }
}

function countOf(options: Readonly<Record<string, string>>, name: string, otherwise: number): number {
  const given = options[name]
  if (given === undefined || given === '') return otherwise
  const count = Number(given)
  if (!Number.isInteger(count) || count < 1 || count > MAX_PARALLEL) {
    throw refused(`${name} is a count from 1 to ${MAX_PARALLEL}`)
  }
  return count
}

function stalenessOf(given: string | undefined): number {
  if (!given) return DEFAULT_STALENESS_MS
  const [, count, unit] = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(given.trim()) ?? []
  const ms = Number(count) * (unit === 'ms' ? 1 : 1000)
  if (!(ms >= MIN_STALENESS_MS && ms <= MAX_STALENESS_MS)) throw refused('max_staleness is from "50ms" to "60s"')
  return ms
}

export function quoted(name: string): string {
  return `"${name.trim().replaceAll('"', '""')}"`
}

function refused(text: string): ApiError {
  return new ApiError('invalid_request', `storage "postgres": ${text}`)
}
