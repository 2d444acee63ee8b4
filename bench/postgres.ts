/**
 * Storage in PostgreSQL beside its measures, in the same run on the same server: commits a second beside pgbench with a bare
 * transaction of two statements, and reads from memory beside those of the embedded store.
 *
 *     bin/node bench/postgres.ts [SECONDS]
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Driver } from '#sdk/storage.ts'
import { drivers } from '#storage/registry.ts'
import { binaries, startDatabase } from '#test/postgres/server.ts'

const SECONDS = Number(process.argv[2] ?? 8)
const VALUE_BYTES = 300
const CLIENTS = [1, 8, 32, 128]
const READS = 400_000
const KEYS = 1000

const folder = mkdtempSync(path.join(tmpdir(), 'strongroom-bench-'))
const database = await startDatabase({ max_connections: '200' })
try {
  const driver = await (await drivers.postgres()).open({ connection_url: database.url })
  const embedded = await (await drivers.sqlite()).open({ path: path.join(folder, 'data') })
  await database.query('CREATE TABLE bare (key bytea PRIMARY KEY, version bigint NOT NULL, value bytea NOT NULL)')
  await database.query('CREATE TABLE bare_line (sequence bigserial PRIMARY KEY, changes bytea NOT NULL)')
  console.log('clients  pgbench/s  ours/s  embedded/s')
  for (const clients of CLIENTS) {
    const bare = pgbench(clients)
    const ours = await commits(driver, clients)
    const beside = await commits(embedded, clients)
    console.log([clients, bare, ours, beside].map((each) => String(Math.round(each)).padStart(8)).join('  '))
  }
  for (const [name, store] of Object.entries({ postgres: driver, sqlite: embedded })) {
    console.log(`reads from memory, ${name}: ${Math.round(await reads(store))} ns each`)
  }
  await driver.close()
  await embedded.close()
} finally {
  await database.dispose()
  rmSync(folder, { recursive: true, force: true })
}

/** An entry and a line, as a commit of ours writes them at the least. */
function pgbench(clients: number): number {
  const script = path.join(folder, 'bare.sql')
  writeFileSync(
    script,
    `\\set n random(1, 1000000000)
BEGIN;
INSERT INTO bare VALUES (decode(md5(:n::text), 'hex'), 1, decode(repeat('ab', ${VALUE_BYTES}), 'hex')) ON CONFLICT (key) DO UPDATE SET value = excluded.value;
INSERT INTO bare_line (changes) VALUES (decode(repeat('cd', 50), 'hex'));
COMMIT;
`,
  )
  const args = ['-n', '-M', 'prepared', '-c', String(clients), '-j', '1', '-T', String(SECONDS), '-f', script]
  const { stdout, stderr } = spawnSync(path.join(binaries, 'pgbench'), [...args, database.url], { encoding: 'utf8' })
  const found = /tps = ([\d.]+)/.exec(stdout)
  if (!found) throw new Error(stderr)
  return Number(found[1])
}

/** Each reads an entry of its own and writes it, one change after the other. */
async function commits(driver: Driver, clients: number): Promise<number> {
  const value = new Uint8Array(VALUE_BYTES)
  const until = performance.now() + SECONDS * 1000
  let done = 0
  const client = async () => {
    for (let round = 0; performance.now() < until; round += 1) {
      const key = `bench/${crypto.randomUUID()}`
      await driver.transact(async (transaction) => {
        await transaction.get('bench/setting')
        transaction.put(key, () => value)
      })
      done += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return done / SECONDS
}

/** The least of several rounds, since others use the machine as well. */
async function reads(driver: Driver): Promise<number> {
  const keys = Array.from({ length: KEYS }, (_, index) => `read/${index}`)
  await driver.transact(async (transaction) => {
    for (const key of keys) transaction.put(key, () => new Uint8Array(VALUE_BYTES))
  })
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round += 1) {
    const begun = performance.now()
    for (let index = 0; index < READS; index += 1) await driver.get(keys[index % KEYS]!)
    least = Math.min(least, ((performance.now() - begun) * 1e6) / READS)
  }
  return least
}
