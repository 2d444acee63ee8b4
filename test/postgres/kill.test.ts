/** Kills, of the writing node and of the database itself: what was acknowledged is there, and nothing is half there. */
import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startDatabase } from '#test/postgres/server.ts'
import { checkStore, killRound, startWriting, takeDown } from '#test/storage/kill-sets.ts'

const database = await startDatabase()
after(() => database.dispose())
// For the programs too: an argument would be read by others of this machine.
process.env['VAULT_PG_CONNECTION_URL'] = database.url

test('a node killed at any moment has kept every acknowledged change, and no half of one', async () => {
  const acknowledged: number[] = []
  const target = { type: 'postgres' as const, options: { table: 'killed_node' } }
  for (let round = 0; round < 5; round += 1) await killRound(target, acknowledged)
  assert.ok(acknowledged.some((count) => count > 1))
})

test('a database killed under a writing node has kept every acknowledged change, and the node goes on', async () => {
  const target = { type: 'postgres' as const, options: { table: 'killed_database' } }
  const program = startWriting(target)
  await program.line('ack')
  let before = 0
  for (let round = 0; round < 4; round += 1) {
    await sleep(200 + Math.random() * 300)
    await database.crash()
    await database.start()
    before = program.lines.length
    for (const until = Date.now() + 30_000; program.lines.length === before; await sleep(20)) {
      assert.ok(program.process.exitCode === null && Date.now() < until, 'it goes on by itself')
    }
  }
  program.process.kill('SIGKILL')
  await program.ended
  const acknowledged: number[] = []
  takeDown(program.lines, acknowledged)
  const unknown = program.lines.filter((line) => line === 'unknown').length
  await checkStore(target, acknowledged, 1 + unknown)
})
