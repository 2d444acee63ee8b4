/** Whole servers on one database, as processes, with the configuration of docs/postgres.md. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test, { after } from 'node:test'
import { diagnose } from '#boot/diagnose.ts'
import { refusalOf, initialize, run, startConfigured, tcp, unseal, withToken } from '#test/config/configured.ts'
import { temporaryFolder, until } from '#test/config/program.ts'
import { freePort } from '#test/port.ts'
import { startDatabase } from '#test/postgres/server.ts'
import { sendTo } from '#test/server.ts'

const database = await startDatabase()
after(() => database.dispose())

const page = await readFile(new URL('../../docs/postgres.md', import.meta.url), 'utf8')
const example = /<!-- example: postgres -->\n```hcl\n(.*?)```/s.exec(page)![1]!

/** The example of the documentation with this database, and the ledger in `folder`. */
function configuration(folder: string, port: number): string {
  const config = example.replace(/postgres:\/\/[^"]*/, database.url).replace('/var/lib/strongroom', folder)
  assert.ok(config.includes(database.url) && config.includes(folder))
  return config + tcp(port)
}

test('two servers on one database: what one does the other shows, restarts lose nothing, a lost database is told', async () => {
  await using one = await temporaryFolder()
  await using two = await temporaryFolder()
  const [a, b] = [await freePort(), await freePort()]
  const first = await startConfigured(one.path, configuration(one.path, a))
  await using second = await startConfigured(two.path, configuration(two.path, b))
  const { share, root } = await initialize(a)
  for (const port of [a, b]) {
    const { status, body } = await unseal(port, share)
    assert.deepEqual([status, body.sealed, body.storage_type], [200, false, 'postgresql'])
  }
  const token = withToken(root)
  await sendTo(a, 'POST', 'sys/mounts/kv', { type: 'kv' }, token)
  const made = await until('the mount at the other server', async () => {
    const { status } = await sendTo(b, 'PUT', 'kv/app', { password: 'hunter2' }, token)
    return status === 204 ? status : undefined
  })
  assert.equal(made, 204)
  const read = await until('what the other server wrote', async () => {
    const { status, body } = await sendTo(a, 'GET', 'kv/app', undefined, token)
    return status === 200 ? body.data : undefined
  })
  assert.deepEqual(read, { password: 'hunter2' })

  const child = (await sendTo(a, 'POST', 'auth/token/create', { policies: ['root'] }, token)).body.auth.client_token
  await until('the new token at the other server', async () => {
    const { status } = await sendTo(b, 'GET', 'auth/token/lookup-self', undefined, withToken(child))
    return status === 200 ? status : undefined
  })
  const revokedAt = performance.now()
  await sendTo(a, 'POST', 'auth/token/revoke', { token: child }, token)
  await until('refusal', async () => {
    const { status } = await sendTo(b, 'GET', 'auth/token/lookup-self', undefined, withToken(child))
    return status === 403 ? status : undefined
  })
  assert.ok(performance.now() - revokedAt < 2500, 'within the bound, with what a busy machine adds')

  await first.kill()
  await using again = await startConfigured(one.path, configuration(one.path, a))
  assert.equal((await unseal(a, share)).body.sealed, false)
  assert.deepEqual((await sendTo(a, 'GET', 'kv/app', undefined, token)).body.data, { password: 'hunter2' })
  assert.ok(again.running)

  await database.crash()
  await until('refusal while the database is away', async () => {
    const { status } = await sendTo(b, 'GET', 'kv/app', undefined, token)
    assert.ok(status !== 403 && status !== 404, `${status}`)
    return status >= 500 ? status : undefined
  })
  const health = await sendTo(b, 'GET', 'sys/health', undefined, {})
  assert.match(JSON.stringify(health.body), /the database/)
  await database.start()
  await until('service again', async () => {
    const { status, body } = await sendTo(b, 'GET', 'kv/app', undefined, token)
    return status === 200 && body.data.password === 'hunter2' ? status : undefined
  })
  for (const program of [again, second]) {
    assert.ok(!program.output.includes('pg%20test') && !program.output.includes('pg test'), 'no password in the log')
    program.signal('SIGTERM')
    assert.deepEqual(await program.ended(), { code: 0, signal: null })
  }
  const [entry] = await database.query('SELECT count(*) AS found FROM strongroom WHERE position($1 in value) > 0', [
    Buffer.from('hunter2'),
  ])
  assert.equal(Number(entry!['found']), 0, 'nothing lies in the clear')
})

test('a configuration of another server of this API is taken, and the environment goes before the file', async () => {
  await using folder = await temporaryFolder()
  const port = await freePort()
  const config =
    'storage "postgresql" {\n  connection_url = "postgres://nobody@127.0.0.1:1/none"\n  table = "kv_store"\n' +
    `  max_parallel = "8"\n  ha_enabled = "true"\n  colour = "red"\n}\n${tcp(port)}`
  await using server = await startConfigured(folder.path, config, { VAULT_PG_CONNECTION_URL: database.url })
  assert.match(server.output, /unknown key "colour"/)
  assert.doesNotMatch(server.output, /ha_enabled/)
  assert.match(server.output, new RegExp(`ledger of this node lies in ${path.join(folder.path, 'strongroom-ledger')}`))
  assert.equal((await sendTo(port, 'GET', 'sys/seal-status', undefined, {})).body.storage_type, 'postgresql')
  assert.equal((await database.query('SELECT sequence FROM kv_store_head')).length, 1)
})

test('a server whose database cannot be reached does not start, and says why without the password', async () => {
  await using folder = await temporaryFolder()
  const url = 'postgres://u:sesame@127.0.0.1:1/d'
  const config = `storage "postgres" {\n  connection_url = "${url}"\n}\n${tcp(await freePort())}`
  const { code, output } = await refusalOf(await run(folder.path, config))
  assert.equal(code, 1)
  assert.match(output, /the database of the store fails: connection refused/)
  assert.doesNotMatch(output, /sesame/)
})

test('the diagnosis tries the database, makes nothing in it, and tells what is wrong without the password', async () => {
  await using folder = await temporaryFolder()
  const look = async (url: string) => {
    const file = path.join(folder.path, 'server.hcl')
    const storage = `storage "postgres" {\n  connection_url = "${url}"\n  table = "looked_at"\n}\n`
    await writeFile(file, `${storage}ledger {\n  path = "${folder.path}"\n}\n${tcp(await freePort())}`)
    const findings = (await diagnose([file], new Set(['system']))).flatMap((chapter) => chapter.findings)
    return findings.find(({ name }) => name === 'Store')!
  }
  const good = await look(database.url)
  assert.deepEqual([good.status, good.message], ['ok', 'the database answers; the server makes its tables'])
  assert.equal((await database.query(`SELECT to_regclass('looked_at_head') AS found`))[0]!['found'], null)
  const bad = await look('postgres://u:sesame@127.0.0.1:1/d')
  assert.equal(bad.status, 'fail')
  assert.match(bad.message, /connection refused/)
  assert.doesNotMatch(JSON.stringify(bad), /sesame/)
})
