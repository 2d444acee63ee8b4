/** Encrypted connections to a real server: what each `sslmode` takes and refuses. And hosts that are tried in turn. */
import assert from 'node:assert/strict'
import path from 'node:path'
import test, { after } from 'node:test'
import { ApiError } from '#sdk/errors.ts'
import { drivers } from '#storage/registry.ts'
import { makeAuthority, makeCertificate } from '#test/config/certificates.ts'
import { temporaryFolder } from '#test/config/program.ts'
import { giveToDatabase, startDatabase } from '#test/postgres/server.ts'

const folder = await temporaryFolder()
const others = await temporaryFolder()
await makeAuthority(folder.path)
await makeAuthority(others.path)
await makeCertificate(folder.path, 'server', 'serverAuth')
giveToDatabase(folder.path)
const file = (name: string) => path.join(folder.path, name)
const database = await startDatabase({
  ssl: 'on',
  ssl_cert_file: file('server.pem'),
  ssl_key_file: file('server-key.pem'),
  listen_addresses: '127.0.0.1,127.0.0.2',
})
after(async () => {
  await database.dispose()
  await folder[Symbol.asyncDispose]()
  await others[Symbol.asyncDispose]()
})

/** Whether the connections were encrypted, or why there was none. */
async function connection(host: string, query: string): Promise<string> {
  const url = database.url.replace('127.0.0.1', host).replace('?sslmode=disable', query)
  try {
    const driver = await (await drivers.postgres()).open({ connection_url: url })
    const rows = await database.query(
      `SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'strongroom'`,
    )
    await driver.close()
    return rows.every(({ ssl }) => ssl === true) ? 'encrypted' : 'plain'
  } catch (error) {
    assert.ok(error instanceof ApiError && error.code === 'storage_failed', String(error))
    return String(error.reason ?? error.message)
  }
}

test('encrypted by default; checked against the authority, and against the name, when that is asked for', async () => {
  const ca = `&sslrootcert=${file('ca.pem')}`
  assert.equal(await connection('127.0.0.1', ''), 'encrypted')
  assert.equal(await connection('127.0.0.1', '?sslmode=disable'), 'plain')
  assert.equal(await connection('127.0.0.1', '?sslmode=require'), 'encrypted')
  assert.equal(await connection('127.0.0.1', `?sslmode=verify-full${ca}`), 'encrypted')
  assert.equal(await connection('localhost', `?sslmode=verify-full${ca}`), 'encrypted')
  assert.equal(await connection('127.0.0.2', `?sslmode=verify-ca${ca}`), 'encrypted')
  assert.match(await connection('127.0.0.2', `?sslmode=verify-full${ca}`), /does not match/)
  const wrong = `&sslrootcert=${path.join(others.path, 'ca.pem')}`
  for (const mode of ['verify-full', 'verify-ca', 'require']) {
    assert.match(await connection('127.0.0.1', `?sslmode=${mode}${wrong}`), /certificate|signature/, mode)
  }
  assert.match(await connection('127.0.0.1', '?sslmode=verify-full'), /certificate/)
})

test('of several hosts the first one that answers and writes is taken', async () => {
  assert.equal(await connection('127.0.0.1:1,127.0.0.1', ''), 'encrypted')
  await database.query('ALTER ROLE strongroom SET default_transaction_read_only = on')
  assert.match(await connection('127.0.0.1', ''), /only reads/)
  await database.query('BEGIN READ WRITE; ALTER ROLE strongroom RESET default_transaction_read_only; COMMIT')
  assert.equal(await connection('127.0.0.1', ''), 'encrypted')
})
