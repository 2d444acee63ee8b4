/** What is kept of a token, and what the rest of the system sees of it. */
import { hash } from 'node:crypto'
import { cidrsAllow } from '#lib/cidr.ts'
import type { AuditAuth } from '#sdk/audit.ts'
import type { Grant } from '#sdk/engine.ts'
import { randomBase62 } from './ids.ts'

/** `uses_left` of a token whose last use is taken: it serves the request that took it and nothing else. */
export const SPENT = -1

/** Path of the tokens that stand at the beginning; they have no lease. */
export const ROOT_PATH = 'auth/token/root'

/**
 * One token as stored (`id/<accessor>`), or as sealed into a batch token. The token itself is not in it: it cannot be had back
 * from the store. Members with their usual value are left out.
 */
export interface TokenEntry {
  policies: readonly string[]
  /** Of the request that made it. */
  path: string
  display_name: string
  created_at_ms: number
  /** At creation; 0: none, a root token. */
  ttl_seconds: number
  /** 0: never. */
  expires_at_ms: number
  /** Id of the parent; absent for orphans. */
  parent?: string
  /** Tokens above it; absent for orphans. */
  generation?: number
  metadata?: Readonly<Record<string, string>>
  /** Absent: no limit. */
  uses_left?: number
  renewable?: true
  period_seconds?: number
  explicit_max_ttl_seconds?: number
  /** What the last renewal gave, if not `ttl_seconds`: the next one gives the same. */
  granted_ttl_seconds?: number
  last_renewal_at_ms?: number
  /** When the expiry worker looks at it, if not at `expires_at_ms`: soon, once the last use is taken. */
  due_at_ms?: number
  entity_id?: string
  role?: string
  bound_cidrs?: readonly string[]
  /** If not its id. */
  cubbyhole?: string
  /** Accessor of the auth mount that logged it in, and what that mount's `renew` needs. */
  mount?: string
  grant?: Grant
}

export type TokenType = 'service' | 'batch'

/** Frozen; the same object as long as the entry is the same. */
export interface Token {
  /** Names the token inside: a keyed hash of it, no good as a token. For service tokens that is the accessor. */
  readonly id: string
  /** The token itself, as it was presented. Empty when it was found by its accessor. */
  readonly text: string
  readonly type: TokenType
  readonly entry: Readonly<TokenEntry>
  /** Empty for batch tokens. */
  readonly accessor: string
  /** The token's own, without those of its entity. */
  readonly policies: readonly string[]
  readonly root: boolean
  readonly displayName: string
  readonly entityId: string
  /** The entity, or a hash of the policies for tokens without one: what counts as one client. */
  readonly clientId: string
  readonly metadata: Readonly<Record<string, string>>
  /** Left; 0: no limit, SPENT: none but the one under way. */
  readonly numUses: number
  /** Its last use is taken, by the request that holds it. */
  readonly spent: boolean
  readonly boundCidrs: readonly string[]
  /** Name of the storage area that lives and dies with it; empty for batch tokens, which have none. */
  readonly cubbyhole: string
  readonly auditAuth: AuditAuth
}

export function makeToken(id: string, text: string, type: TokenType, entry: Readonly<TokenEntry>): Token {
  return Object.freeze({
    id,
    text,
    type,
    entry,
    accessor: type === 'batch' ? '' : id,
    policies: entry.policies,
    root: entry.policies.includes('root'),
    displayName: entry.display_name,
    entityId: entry.entity_id ?? '',
    clientId: entry.entity_id ?? clientIdOf(entry.policies),
    metadata: entry.metadata ?? none,
    numUses: entry.uses_left ?? 0,
    spent: entry.uses_left === SPENT,
    boundCidrs: entry.bound_cidrs ?? nothing,
    cubbyhole: type === 'batch' ? '' : cubbyholeOf(id, entry),
    auditAuth: auditAuthOf(id, text, type, entry),
  })
}

const none: Readonly<Record<string, string>> = Object.freeze({})
const nothing: readonly string[] = Object.freeze([])

function auditAuthOf(id: string, text: string, type: TokenType, entry: Readonly<TokenEntry>): AuditAuth {
  const { display_name: displayName, policies } = entry
  return Object.freeze({
    client_token: text,
    ...(type === 'service' && { accessor: id }),
    ...(displayName !== '' && { display_name: displayName }),
    policies,
    token_policies: policies,
    ...(entry.metadata && { metadata: entry.metadata }),
    ...(entry.uses_left !== undefined && { remaining_uses: entry.uses_left }),
    ...(entry.entity_id !== undefined && { entity_id: entry.entity_id }),
    token_type: type,
    ...(entry.ttl_seconds > 0 && { token_ttl: entry.ttl_seconds }),
    token_issue_time: `${new Date(entry.created_at_ms).toISOString().slice(0, 19)}Z`,
  })
}

function clientIdOf(policies: readonly string[]): string {
  return hash('sha256', `${policies.toSorted().join('\x1f')}\0root`, 'base64')
}

export function cubbyholeOf(id: string, entry: Readonly<TokenEntry>): string {
  return entry.cubbyhole ?? id
}

/** A name for the storage area of a token that is yet to be made. */
export function newCubbyhole(): string {
  return randomBase62(24)
}

/** Whether a token may be used from there. */
export function allowedFrom(token: Token, remoteAddress: string): boolean {
  return token.boundCidrs.length === 0 || cidrsAllow(token.boundCidrs, remoteAddress)
}

/** When it ends by its own time: milliseconds, Infinity for never. */
export function endOf(entry: Readonly<TokenEntry>): number {
  return entry.expires_at_ms === 0 ? Infinity : entry.expires_at_ms
}

/** Whether it may still be used, as far as its own entry tells. */
export function isAlive(entry: Readonly<TokenEntry>, nowMs: number): boolean {
  return entry.expires_at_ms === 0 || entry.expires_at_ms > nowMs
}

/** Names of policies as tokens hold them: trimmed, lower case, sorted, once each; `root` stands alone. */
export function sanitizePolicies(names: readonly string[], addDefault: boolean): string[] {
  const clean = names.map((name) => name.trim().toLowerCase()).filter((name) => name !== '')
  if (clean.includes('root')) return ['root']
  return [...new Set(addDefault ? [...clean, 'default'] : clean)].toSorted()
}
