/** Two drivers on one database, the database's failures, and what each of them must see or refuse then. */
import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '#sdk/errors.ts'
import type { Driver, Entry } from '#sdk/storage.ts'
import { drivers } from '#storage/registry.ts'
import { startDatabase } from '#test/postgres/server.ts'
import { startWay } from '#test/postgres/way.ts'

/** More than the bound of 1 s by what a busy machine may add. */
const BOUND_MS = 1000
const SLACK_MS = 1500

const database = await startDatabase()
after(() => database.dispose())
let tables = 0
const allOpened: Driver[] = []
after(async () => {
  // What a failed test left open would keep the process.
  await Promise.all(allOpened.map((driver) => driver.close()))
})

async function nodes(count: number, more: Record<string, string> = {}): Promise<Driver[]> {
  tables += 1
  const options = { connection_url: database.url, table: `n${tables}`, ...more }
  const { open } = await drivers.postgres()
  const opened = await Promise.all(Array.from({ length: count }, () => open(options)))
  allOpened.push(...opened)
  return opened
}

async function closeAll(opened: readonly Driver[]): Promise<void> {
  await Promise.all(opened.map((driver) => driver.close()))
}

const urlBy = (port: number) => database.url.replace(`:${database.port}/`, `:${port}/`)

const textOf = (entry: Entry | undefined) => entry && Buffer.from(entry.value).toString()

async function put(driver: Driver, key: string, text: string): Promise<void> {
  await driver.transact(async (transaction) => transaction.put(key, () => Buffer.from(text)))
}

async function until(what: string, limitMs: number, holds: () => Promise<boolean>): Promise<number> {
  const begun = performance.now()
  while (!(await holds())) {
    assert.ok(performance.now() - begun < limitMs, `${what} within ${limitMs} ms`)
    await sleep(5)
  }
  return performance.now() - begun
}

const isStorageFailure = (error: unknown) => error instanceof ApiError && error.code === 'storage_failed'

test('four nodes that start at once on an empty database make its tables once', async () => {
  const opened = await nodes(4)
  await Promise.all(opened.map((driver, index) => put(driver, `k${index}`, String(index))))
  for (const driver of opened) {
    await until('all is seen', BOUND_MS + SLACK_MS, async () => (await driver.list('')).length === 4)
  }
  await closeAll(opened)
})

test('what one node committed another one sees within the bound, though it had it in memory', async () => {
  const [a, b] = (await nodes(2)) as [Driver, Driver]
  const heard: string[] = []
  b.onCommit(({ keys }) => heard.push(...keys))
  for (let round = 1; round <= 10; round += 1) {
    const moment = b.moment()
    await put(a, 'k', String(round))
    await until('the new value', BOUND_MS + SLACK_MS, async () => textOf(await b.get('k')) === String(round))
    assert.notEqual(b.moment(), moment)
    assert.equal(heard.filter((key) => key === 'k').length, round, 'told before it is read')
    assert.equal(textOf(await a.get('k')), String(round))
  }
  await a.transact(async (transaction) => transaction.delete('k'))
  await until('gone', BOUND_MS + SLACK_MS, async () => (await b.get('k')) === undefined)
  await closeAll([a, b])
})

test('where the database cannot notify, a node hears of commits by asking, within the bound', async () => {
  const way = await startWay(database.port)
  way.rewrite('LISTEN "', 'LISTEM "')
  const [deaf] = (await nodes(1, { connection_url: urlBy(way.port) })) as [Driver]
  const other = await (await drivers.postgres()).open({ connection_url: database.url, table: `n${tables}` })
  await put(deaf, 'k', '0')
  let slowest = 0
  for (let round = 1; round <= 5; round += 1) {
    assert.equal(textOf(await deaf.get('k')), String(round - 1))
    await put(other, 'k', String(round))
    const waited = await until('heard', BOUND_MS + SLACK_MS, async () => textOf(await deaf.get('k')) === String(round))
    slowest = Math.max(slowest, waited)
  }
  assert.ok(slowest > 20, `nobody told it: ${slowest} ms`)
  assert.equal(deaf.trouble(), undefined)
  await closeAll([deaf, other])
  way.close()
})

test('of increments by three nodes at once, none is lost', async () => {
  const opened = await nodes(3)
  const increment = (driver: Driver) =>
    driver.transact(async (transaction) => {
      const before = Number(textOf(await transaction.get('counter')) ?? '0')
      transaction.put('counter', () => Buffer.from(String(before + 1)))
    })
  await Promise.all(
    opened.map(async (driver) => {
      for (let each = 0; each < 25; each += 1) await increment(driver)
    }),
  )
  for (const driver of opened) {
    await until('75', BOUND_MS + SLACK_MS, async () => textOf(await driver.get('counter')) === '75')
  }
  await closeAll(opened)
})

test('write skew between two nodes: one of the changes runs again', async () => {
  const [a, b] = (await nodes(2)) as [Driver, Driver]
  await a.transact(async (transaction) => {
    transaction.put('on/a', () => Buffer.from('yes'))
    transaction.put('on/b', () => Buffer.from('yes'))
  })
  await until('seen', BOUND_MS + SLACK_MS, async () => (await b.get('on/b')) !== undefined)
  const bothRead = Promise.withResolvers<void>()
  let read = 0
  let runs = 0
  const leave = (driver: Driver, own: string, other: string) =>
    driver.transact(async (transaction) => {
      runs += 1
      const stays = textOf(await transaction.get(other)) === 'yes'
      read += 1
      if (read === 2) bothRead.resolve()
      await bothRead.promise
      if (stays) transaction.put(own, () => Buffer.from('no'))
    })
  await Promise.all([leave(a, 'on/a', 'on/b'), leave(b, 'on/b', 'on/a')])
  // The one that lost may have to run once more for a higher version.
  assert.ok(runs >= 3, `${runs} runs`)
  const left = await a.transact(async (transaction) => [await transaction.get('on/a'), await transaction.get('on/b')])
  assert.equal(left.filter((entry) => textOf(entry) === 'yes').length, 1)
  await closeAll([a, b])
})

test('a phantom that another node commits below a listed prefix makes the change run again', async () => {
  const [a, b] = (await nodes(2)) as [Driver, Driver]
  let runs = 0
  await a.transact(async (transaction) => {
    runs += 1
    const names = await transaction.list('dir/')
    if (runs === 1) await put(b, 'dir/x', '1')
    transaction.put('count', () => Buffer.from(String(names.length)))
  })
  assert.equal(runs, 2)
  assert.equal(textOf(await a.get('count')), '1')
  await closeAll([a, b])
})

test('listings of many chunks are of one moment while other nodes commit, and prove nothing newer than they are', async () => {
  const [a, b] = (await nodes(2)) as [Driver, Driver]
  const names = Array.from({ length: 600 }, (_, index) => `d/${String(index).padStart(4, '0')}`)
  await a.transact(async (transaction) => {
    for (const name of names) transaction.put(name, () => Buffer.from('x'))
  })
  let stop = false
  // The first and the last of the names trade places, again and again: there is always exactly one of them.
  const trading = (async () => {
    for (let round = 0; !stop; round += 1) {
      await a.transact(async (transaction) => {
        transaction.delete(round % 2 === 0 ? 'd/0000' : 'd/9999')
        transaction.put(round % 2 === 0 ? 'd/9999' : 'd/0000', () => Buffer.from('x'))
      })
    }
  })()
  for (let round = 0; round < 60; round += 1) {
    const found = await b.list('d/')
    assert.equal(found.length, 600)
    assert.ok(found.includes('0000') !== found.includes('9999'))
  }
  stop = true
  await trading
  assert.equal(b.trouble(), undefined)
  await closeAll([a, b])
})

test('a node that slept while others committed more than it keeps starts its memory anew', async () => {
  const [a, b] = (await nodes(2)) as [Driver, Driver]
  await put(a, 'k', 'old')
  await until('seen', BOUND_MS + SLACK_MS, async () => textOf(await b.get('k')) === 'old')
  let missed = 0
  b.onCommit(({ others }) => (missed += others ? 1 : 0))
  const table = `"n${tables}"`
  // As if many commits had been made and their lines removed, between two questions of b.
  await database.query(`
    BEGIN; SELECT 1 FROM "n${tables}_head" FOR UPDATE;
    UPDATE ${table} SET value = 'new', version = version + 1000000 WHERE key = 'k';
    UPDATE "n${tables}_head" SET sequence = sequence + 30000, mark = 'later', version = version + 2000000;
    DELETE FROM "n${tables}_feed";
    INSERT INTO "n${tables}_feed" SELECT sequence, mark, '[[],[]]' FROM "n${tables}_head"; COMMIT`)
  await until('the new value', BOUND_MS + SLACK_MS, async () => textOf(await b.get('k')) === 'new')
  assert.equal(missed, 1)
  await put(b, 'k', 'newer')
  assert.equal(textOf(await b.get('k')), 'newer')
  await closeAll([a, b])
})

for (const [what, change] of [
  ['lost commits', "sequence = sequence - 1, mark = 'before'"],
  ['lost commits and made others', "mark = 'other'"],
] as const) {
  test(`a database that ${what} is served from no more, until a restart`, async () => {
    const [a] = (await nodes(1)) as [Driver]
    await put(a, 'k', '1')
    assert.equal(textOf(await a.get('k')), '1')
    await database.query(`UPDATE "n${tables}_head" SET ${change}`)
    await until('refusal', BOUND_MS + SLACK_MS, async () => a.trouble() !== undefined)
    assert.match(a.trouble()!, /lost commits/)
    await assert.rejects(a.get('k'), isStorageFailure)
    await assert.rejects(put(a, 'k', '2'), isStorageFailure)
    assert.ok(Number.isNaN(a.moment()))
    await a.close()
  })
}

test('cut off from the database a node serves nothing after the bound, though it has it in memory, and then goes on', async () => {
  const way = await startWay(database.port)
  const [node] = (await nodes(1, { connection_url: urlBy(way.port) })) as [Driver]
  const [other] = [await (await drivers.postgres()).open({ connection_url: database.url, table: `n${tables}` })]
  await put(node, 'k', '1')
  const moment = node.moment()
  assert.equal(moment, node.moment())
  way.block()
  const cut = performance.now()
  assert.equal(textOf(await node.get('k')), '1', 'within the bound it is served')
  await put(other, 'k', '2')
  await sleep(BOUND_MS + 100 - (performance.now() - cut))
  assert.ok(Number.isNaN(node.moment()), 'nothing that was derived holds any more')
  await assert.rejects(node.get('k'), isStorageFailure)
  await assert.rejects(put(node, 'k', '3'), isStorageFailure)
  assert.match(node.trouble()!, /the database/)
  way.unblock()
  await until('again', 5000 + SLACK_MS, async () => {
    try {
      return textOf(await node.get('k')) === '2' && node.trouble() === undefined
    } catch (error) {
      if (!isStorageFailure(error)) throw error
      return false
    }
  })
  await put(node, 'k', '4')
  await closeAll([node, other])
  way.close()
})

for (const [what, loss] of [
  ['answer to a COMMIT', 'answer'],
  ['COMMIT itself', 'question'],
] as const) {
  test(`when the ${what} is lost, the change is made once, and acknowledged`, async () => {
    const way = await startWay(database.port)
    const [node] = (await nodes(1, { connection_url: urlBy(way.port) })) as [Driver]
    await put(node, 'k', '0')
    let runs = 0
    way.loseNext(/UPDATE "n\d+_head" SET sequence/, loss)
    await node.transact(async (transaction) => {
      runs += 1
      const before = Number(textOf(await transaction.get('k')))
      transaction.put('k', () => Buffer.from(String(before + 1)))
    })
    assert.equal(way.lost, 1)
    assert.equal(runs, 1, 'not made again')
    assert.equal(textOf(await node.get('k')), '1')
    const [head] = await database.query(`SELECT sequence FROM "n${tables}_head"`)
    assert.equal(Number(head!['sequence']), 2)
    await put(node, 'k', '2')
    await node.close()
    way.close()
  })
}

test('connections that the database ends in the middle are made anew, and no change is lost or made twice', async () => {
  const [a] = (await nodes(1)) as [Driver]
  let ended = 0
  let stop = false
  const killer = (async () => {
    while (!stop) {
      const rows = await database.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'strongroom' AND pid <> pg_backend_pid()`,
      )
      ended += rows.length
      await sleep(60)
    }
  })()
  let acknowledged = 0
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let each = 0; each < 40; each += 1) {
        try {
          await a.transact(async (transaction) => {
            const before = Number(textOf(await transaction.get('n')) ?? '0')
            transaction.put('n', () => Buffer.from(String(before + 1)))
          })
          acknowledged += 1
        } catch (error) {
          if (!isStorageFailure(error)) throw error
        }
      }
    }),
  )
  stop = true
  await killer
  assert.ok(ended > 5, `${ended} connections ended`)
  assert.ok(acknowledged > 300, `${acknowledged} of 320 acknowledged`)
  await until('readable', 3000, async () =>
    a.get('n').then(
      () => true,
      () => false,
    ),
  )
  assert.equal(Number(textOf(await a.get('n'))), acknowledged)
  await a.close()
})

test('of two changes of one commit that each found a folder empty, one runs again', async () => {
  const [a] = (await nodes(1)) as [Driver]
  let [runs, read] = [0, 0]
  const bothRead = Promise.withResolvers<void>()
  const enter = (name: string) =>
    a.transact(async (transaction) => {
      runs += 1
      const names = await transaction.list('d/')
      read += 1
      if (read === 2) bothRead.resolve()
      await bothRead.promise
      if (names.length === 0) transaction.put(`d/${name}`, () => Buffer.from('x'))
    })
  await Promise.all([enter('one'), enter('two')])
  assert.equal((await a.list('d/')).length, 1)
  assert.equal(runs, 3)
  await a.close()
})

test('a blind write does not replace a newer entry that this node never heard of', async () => {
  const [a] = (await nodes(1)) as [Driver]
  await put(a, 'k', 'old')
  await database.query(`UPDATE "n${tables}" SET version = version + 1000000; `)
  await database.query(`UPDATE "n${tables}_head" SET version = version + 2000000`)
  let runs = 0
  await a.transact(async (transaction) => {
    runs += 1
    transaction.put('k', () => Buffer.from('new'))
    transaction.put('other', () => Buffer.from('new'))
  })
  assert.equal(runs, 2)
  assert.ok((await a.get('k'))!.version > 1_000_000)
  assert.deepEqual((await a.getMany(['k', 'other'])).map(textOf), ['new', 'new'])
  await a.close()
})

test('a node that stands still with the lock holds up the others only for a time', async () => {
  const [a] = (await nodes(1)) as [Driver]
  const pg = await import('pg')
  const holder = new pg.default.Client({ connectionString: database.url })
  holder.on('error', () => undefined)
  await holder.connect()
  await holder.query(
    `SET idle_in_transaction_session_timeout = 3000; BEGIN; SELECT 1 FROM "n${tables}_head" FOR UPDATE`,
  )
  const begun = performance.now()
  await put(a, 'k', '1')
  assert.ok(performance.now() - begun > 2000, 'it waited')
  assert.equal(a.trouble(), undefined)
  await holder.end()
  await a.close()
})

test('a table of another program, a newer schema and missing tables are refused with what to do', async () => {
  const { open } = await drivers.postgres()
  await database.query('CREATE TABLE vault_kv_store (parent_path text, path text, key text, value bytea)')
  const options = { connection_url: database.url }
  await assert.rejects(open({ ...options, table: 'vault_kv_store' }), /is one of another program/)
  await assert.rejects(
    open({ ...options, table: 'none', skip_create_table: 'true' }),
    /CREATE TABLE IF NOT EXISTS "none"/,
  )
  const [a] = (await nodes(1)) as [Driver]
  await database.query(`UPDATE "n${tables}_head" SET schema_version = 7`)
  const beside = await open({ ...options, table: `n${tables}` })
  await put(beside, 'k', 'an older version may go on beside a newer one')
  await database.query(`UPDATE "n${tables}_head" SET oldest_schema = 7`)
  await assert.rejects(put(a, 'k', '1'), /newer version of this program/)
  await assert.rejects(open({ ...options, table: `n${tables}` }), /newer version of this program/)
  await closeAll([a, beside])
})

test('what cannot be reached is told within the limit, and without the password', async () => {
  const { open } = await drivers.postgres()
  const told = async (url: string) =>
    open({ connection_url: url }).then(
      () => 'opened',
      (error: unknown) => JSON.stringify([String(error), (error as ApiError).reason, (error as ApiError).message]),
    )
  assert.match(await told('postgres://u:sesame@127.0.0.1:1/d?sslmode=disable'), /connection refused/)
  assert.match(await told(database.url.replace('pg%20test', 'sesame')), /refuses the password/)
  assert.match(await told(database.url.replace('sslmode=disable', 'sslmode=require')), /SSL/)
  for (const url of [
    'postgres://u:sesame@h:x/d',
    'sesame',
    "host=h password='sesame",
    'postgres://u:ses%ame@h/d',
    'postgres://u:sesame@h/d?sslmode=maybe',
  ]) {
    const text = await told(url)
    assert.match(text, /storage \\"postgres\\"/)
    assert.doesNotMatch(text, /sesame/)
  }
})
