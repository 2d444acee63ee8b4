/** Events and devices for the tests of the audit. */
import type { AuditAuth, AuditDevice, AuditEvent } from '#sdk/audit.ts'

export const auth: AuditAuth = {
  client_token: 'hvs.the-token-of-the-caller',
  accessor: 'the-accessor-of-the-caller',
  display_name: 'token',
  policies: ['default'],
  token_policies: ['default'],
  token_type: 'service',
}

export function requestEvent(changes: Partial<AuditEvent['request']> = {}): AuditEvent {
  return {
    type: 'request',
    at: new Date('2026-01-02T03:04:05.678Z'),
    auth,
    request: { id: 'a-request', operation: 'update', namespace: { id: 'root' }, path: 'secret/data/app', ...changes },
  }
}

export function responseEvent(response: NonNullable<AuditEvent['response']>, operation = 'read'): AuditEvent {
  return { ...requestEvent({ operation }), type: 'response', response }
}

/** Keeps lines in memory, and fails while told to. */
export class MemoryDevice implements AuditDevice {
  maxLineBytes?: number
  lines: string[] = []
  failing: Error | undefined
  closed = false

  async write(line: string): Promise<void> {
    if (this.failing) throw this.failing
    this.lines.push(line)
  }
  async reload(): Promise<void> {}
  async close(): Promise<void> {
    this.closed = true
  }
  trouble(): undefined {}
}
