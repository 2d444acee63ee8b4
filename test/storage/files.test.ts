import assert from 'node:assert/strict'
import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import test from 'node:test'
import { ApiError } from '#sdk/errors.ts'
import { drivers } from '#storage/registry.ts'
import { temporaryFolder } from '#test/storage/folder.ts'
import { startProgram } from '#test/storage/process.ts'

const { open } = await drivers.sqlite()

test('the data folder and all files in it are for the server alone, under any umask', async (context) => {
  const folder = temporaryFolder()
  const umask = process.umask(0)
  context.after(() => {
    process.umask(umask)
    folder.remove()
  })
  const data = path.join(folder.path, 'deep', 'data')
  const driver = await open({ path: data })
  await driver.transact(async (transaction) => transaction.put('a', () => Buffer.from('1')))
  assert.equal(statSync(data).mode & 0o777, 0o700)
  const files = readdirSync(data)
  assert.ok(
    files.includes('store.db') && files.includes('store.db-wal') && files.includes('store.db-shm'),
    files.join(),
  )
  for (const file of files) assert.equal(statSync(path.join(data, file)).mode & 0o777, 0o600, file)
  await driver.close()
})

test('close leaves everything in the database file, so that a copy of it is whole', async (context) => {
  const folder = temporaryFolder()
  context.after(folder.remove)
  const driver = await open({ path: folder.path })
  await driver.transact(async (transaction) => transaction.put('a', () => Buffer.from('1')))
  await driver.close()
  const log = path.join(folder.path, 'store.db-wal')
  assert.ok(!existsSync(log) || statSync(log).size === 0)
  const database = new DatabaseSync(path.join(folder.path, 'store.db'), { readOnly: true })
  assert.equal(database.prepare('SELECT count(*) AS n FROM entry').get()?.['n'], 1)
  database.close()
})

test('a second server on the same folder is refused by name, and not after the first one is killed', async (context) => {
  const folder = temporaryFolder()
  context.after(folder.remove)
  const first = startProgram(new URL('hold-program.ts', import.meta.url), [folder.path])
  context.after(() => first.process.kill('SIGKILL'))
  await first.line('open')
  await refuses(open({ path: folder.path }), folder.path, 'in use by another server')
  first.process.kill('SIGKILL')
  assert.equal((await first.ended).signal, 'SIGKILL')
  const driver = await open({ path: folder.path })
  assert.ok(await driver.get('held'))
  await driver.close()
})

test('a second store over the same folder is refused within one process too, until the first is closed', async (context) => {
  const folder = temporaryFolder()
  context.after(folder.remove)
  const first = await open({ path: folder.path })
  await refuses(open({ path: folder.path }), folder.path, 'in use by another server')
  // The refused one must not have dropped the lock of the first when it went.
  await refuses(open({ path: folder.path }), folder.path, 'in use by another server')
  const other = startProgram(new URL('hold-program.ts', import.meta.url), [folder.path])
  assert.match((await other.ended).errors, /in use by another server/)
  await first.close()
  await (await open({ path: folder.path })).close()
})

test('data of a newer version are refused and left as they are', async (context) => {
  const folder = temporaryFolder()
  context.after(folder.remove)
  await (await open({ path: folder.path })).close()
  const database = new DatabaseSync(path.join(folder.path, 'store.db'))
  database.exec('PRAGMA user_version = 99')
  database.close()
  await refuses(open({ path: folder.path }), 'newer version', 'schema 99')
})

test('a database of another program, and what is none, are refused', async (context) => {
  const folder = temporaryFolder()
  context.after(folder.remove)
  const database = new DatabaseSync(path.join(folder.path, 'store.db'))
  database.exec('CREATE TABLE other (x)')
  database.close()
  await refuses(open({ path: folder.path }), 'another program')
  writeFileSync(
    path.join(folder.path, 'store.db'),
    'this is text, and longer than the header of a database is: '.repeat(20),
  )
  await refuses(open({ path: folder.path }), 'not a database')
})

test('a path that cannot be a folder is refused, and so is none', async (context) => {
  const folder = temporaryFolder()
  context.after(folder.remove)
  writeFileSync(path.join(folder.path, 'file'), '')
  await refuses(open({ path: path.join(folder.path, 'file', 'data') }), 'cannot open the data folder')
  await assert.rejects(open({}), (error) => error instanceof ApiError && error.code === 'invalid_request')
})

test('a folder of a store that was never finished is made good', async (context) => {
  const folder = temporaryFolder()
  context.after(folder.remove)
  for (const file of ['store.db', 'lock.db']) {
    writeFileSync(path.join(folder.path, file), '')
    chmodSync(path.join(folder.path, file), 0o600)
  }
  const driver = await open({ path: folder.path })
  assert.deepEqual(await driver.list(''), [])
  await driver.close()
})

async function refuses(opening: Promise<unknown>, ...texts: string[]): Promise<void> {
  await assert.rejects(opening, (error) => {
    assert.ok(error instanceof ApiError)
    assert.equal(error.code, 'storage_failed')
    for (const text of texts) assert.ok(error.message.includes(text), error.message)
    return true
  })
}
