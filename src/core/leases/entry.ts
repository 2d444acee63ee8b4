/** What is kept of a lease, and under which keys. */
import { hash } from 'node:crypto'

/** The lease of what a secrets engine made. */
export interface SecretLease {
  /** Accessor of the mount, and what its engine needs to take back what it made. */
  mount: string
  path: string
  revoke: Record<string, unknown>
  issued_at_ms: number
  expires_at_ms: number
  /** When the worker looks at it: at its end, or later after a failed attempt. 0: no more, it was given up. */
  due_at_ms: number
  ttl_seconds: number
  max_ttl_seconds: number
  renewable: boolean
  /** Token that it ends with. */
  owner?: string
  /** No renewal reaches beyond: the end of the batch token it was made for. */
  latest_ms?: number
  last_renewal_at_ms?: number
  /** Failed attempts to take it back, and what the last one said. */
  attempts?: number
  error?: string
}

/** `due/<ms>/t<accessor>` or `due/<ms>/s<hash of the lease id>`. Digits enough until the year 5138. */
export function dueKey(dueAtMs: number, kind: 't' | 's', name: string): string {
  return `due/${String(Math.trunc(dueAtMs)).padStart(14, '0')}/${kind}${name}`
}

export function parseDueKey(key: string): { dueAtMs: number; kind: 't' | 's'; name: string } {
  return { dueAtMs: Number(key.slice(4, 18)), kind: key[19] === 't' ? 't' : 's', name: key.slice(20) }
}

/** The path of the request that made it, without a slash at its end. */
export function pathIn(leaseId: string): string {
  return leaseId.slice(0, leaseId.lastIndexOf('/'))
}

export function nameOf(leaseId: string): string {
  return hash('sha256', leaseId, 'base64url')
}

/** Every key of a secret's lease but the first, which holds it, points back to it. */
export interface Pointer {
  lease: string
}
