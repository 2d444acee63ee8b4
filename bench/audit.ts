/**
 * What an audit event costs: µs of CPU of this process for each of the two events of a KV v2 read with one short
 * secret value, formatted only, and on the ledger with and without waiting for the disk, 32 requests at once.
 *
 *     bin/node bench/audit.ts [events]
 */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Ledger } from '#audit/ledger/ledger.ts'
import { Audit } from '#core/audit/audit.ts'
import type { AuditAuth, AuditDevice, AuditEvent } from '#sdk/audit.ts'

const events = Number(process.argv[2] ?? 200_000)
const concurrent = 32

const auth: AuditAuth = {
  client_token: 'hvs.CAESIJrz7vQ8Tl0benchbenchbenchbenchbench',
  accessor: 'pB6GDv4MnLUBf1j4YqeYNVjZ',
  display_name: 'approle',
  policies: ['app', 'default'],
  token_policies: ['app', 'default'],
  policy_results: { allowed: true, granting_policies: [{ name: 'app', namespace_id: 'root', type: 'acl' }] },
  metadata: { role_name: 'web' },
  entity_id: '93b46f53-f836-a84b-c5cb-0a691cb94c61',
  token_type: 'service',
  token_ttl: 1200,
  token_issue_time: '2026-11-24T20:22:41Z',
}

let count = 0

function pair(): [AuditEvent, AuditEvent] {
  const number = ++count
  const at = new Date(1_795_000_000_000 + Math.floor(number / 10))
  const request: AuditEvent['request'] = {
    id: `93b46f53-f836-a84b-c5cb-${String(number).padStart(12, '0')}`,
    client_id: '93b46f53-f836-a84b-c5cb-0a691cb94c61',
    operation: 'read',
    mount_point: 'secret/',
    mount_type: 'kv',
    mount_accessor: 'kv_1c134d5c',
    mount_class: 'secret',
    client_token: auth.client_token,
    client_token_accessor: auth.accessor,
    namespace: { id: 'root' },
    path: `secret/data/app/${number % 1000}`,
    data: {},
    remote_address: '127.0.0.1',
    remote_port: 40_000 + (number % 32),
  }
  const data = {
    data: { password: `correct horse battery ${number}` },
    metadata: {
      created_time: '2026-11-24T20:22:40.839859631Z',
      custom_metadata: null,
      deletion_time: '',
      destroyed: false,
      version: 1,
    },
  }
  const response = {
    mount_point: 'secret/',
    mount_type: 'kv',
    mount_accessor: 'kv_1c134d5c',
    mount_class: 'secret',
    data,
  }
  return [
    { type: 'request', at, auth, request },
    { type: 'response', at, auth, request, response },
  ]
}

class Nowhere implements AuditDevice {
  chars = 0
  readonly #done = Promise.resolve()
  write(line: string): Promise<void> {
    this.chars += line.length
    return this.#done
  }
  async reload(): Promise<void> {}
  async close(): Promise<void> {}
  trouble(): undefined {}
}

/** @param together  wait once for both lines of a request, as may be done where nothing is changed in between */
async function measure(name: string, device: AuditDevice, total: number, together = false): Promise<void> {
  const audit = new Audit()
  audit.add('device/', device, { key: randomBytes(32) })
  const run = async (requests: number) => {
    for (let at = 0; at < requests; at++) {
      const [request, response] = pair()
      if (together) await Promise.all([audit.record(request), audit.record(response)])
      else {
        await audit.record(request)
        await audit.record(response)
      }
    }
  }
  const all = (requests: number) =>
    Promise.all(Array.from({ length: concurrent }, () => run(Math.ceil(requests / concurrent))))
  await all(5_000)
  const before = process.cpuUsage()
  const startMs = performance.now()
  await all(total / 2)
  const { user, system } = process.cpuUsage(before)
  const seconds = (performance.now() - startMs) / 1000
  const perEvent = (user + system) / total
  console.log(
    `${name.padEnd(36)} ${perEvent.toFixed(2).padStart(6)} µs CPU an event (user ${(user / total).toFixed(2)}), ` +
      `${Math.round(total / seconds).toLocaleString('en')} events/s`,
  )
  await audit.close()
}

const nothing = process.cpuUsage()
for (let at = 0; at < 100_000; at++) pair()
const made = process.cpuUsage(nothing)
console.log(`${'making the events'.padEnd(36)} ${((made.user + made.system) / 200_000).toFixed(2).padStart(6)} µs`)
await measure('formatted only', new Nowhere(), events)
for (const [name, durable, together] of [
  ['ledger, not waiting for the disk', false, false],
  ['ledger, on disk', true, false],
  ['ledger, on disk, both lines at once', true, true],
] as const) {
  const folder = await mkdtemp(path.join(tmpdir(), 'strongroom-bench-'))
  try {
    await measure(name, await Ledger.open({ folder, durable }), events / 2, together)
  } finally {
    await rm(folder, { recursive: true })
  }
}
