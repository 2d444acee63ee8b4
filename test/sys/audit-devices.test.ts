/** `sys/audit`: devices beside the ledger. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after } from 'node:test'
import { startServer, type TestServer } from '#test/server.ts'
import { before, eventually, meeting } from '#test/request/stage.ts'

const folder = await mkdtemp(path.join(tmpdir(), 'strongroom-devices-'))
after(() => rm(folder, { recursive: true, force: true }))
let count = 0
const newFile = () => path.join(folder, `audit-${(count += 1)}.log`)
const fileDevice = (file: string) => ({ type: 'file', description: 'a file', options: { file_path: file } })
const linesOf = async (file: string) =>
  (await readFile(file, 'utf8')).split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]))

async function sealAndUnseal(server: TestServer): Promise<number> {
  assert.equal((await server.write('sys/seal', {})).status, 204)
  await eventually(async () => server.logged.at(-1) === 'sealed')
  return (await server.write('sys/unseal', { key: server.unsealKey }, null)).status
}

test('a device is enabled, listed, written to, asked for a hash, and disabled', async () => {
  await using server = await startServer()
  const file = newFile()
  assert.equal((await server.send('PUT', 'sys/audit/mine', fileDevice(file))).status, 204)
  assert.deepEqual((await server.read('sys/audit')).body.data, {
    'mine/': { description: 'a file', local: false, options: { file_path: file }, path: 'mine/', type: 'file' },
  })
  const token = await server.login(['default'])
  await server.read('auth/token/lookup-self', token)
  const { hash } = (await server.write('sys/audit-hash/mine', { input: token })).body.data
  const found = (await linesOf(file)).filter(({ auth }) => auth?.client_token === hash)
  assert.ok(found.length >= 2)
  assert.notEqual((await server.write('sys/audit-hash/ledger', { input: token })).body.data.hash, hash)
  assert.equal((await server.delete('sys/audit/mine')).status, 204)
  const { length } = await linesOf(file)
  await server.read('auth/token/lookup-self', token)
  assert.equal((await linesOf(file)).length, length)
  assert.equal((await server.delete('sys/audit/mine')).status, 204)
  assert.deepEqual((await server.read('sys/audit')).body.data, {})
})

test('what cannot be a device is refused and leaves nothing; the ledger stays', async () => {
  await using server = await startServer()
  const file = newFile()
  const refused: [string, unknown, RegExp][] = [
    ['sys/audit/x', {}, /backend type must be specified/],
    ['sys/audit/x', { type: 'constructor' }, /unknown backend type: "constructor"/],
    ['sys/audit/x', { type: 'file' }, /file_path/],
    ['sys/audit/x', { ...fileDevice(file), options: { file_path: file, log_raw: 'perhaps' } }, /ParseBool/],
    ['sys/audit/ledger', fileDevice(file), /path already in use/],
    [`sys/audit/${'x'.repeat(300)}`, fileDevice(file), /1 to 255 characters/],
  ]
  for (const [where, body, text] of refused) {
    const answer = await server.send('PUT', where, body)
    assert.equal(answer.status, 400, `${where} ${answer.text}`)
    assert.match(answer.body.errors[0], text)
  }
  const nowhere = await server.send('PUT', 'sys/audit/x', fileDevice(path.join(folder, 'none', 'a.log')))
  assert.ok(nowhere.status >= 400, nowhere.text)
  assert.deepEqual((await server.read('sys/audit')).body.data, {})
  assert.match((await server.delete('sys/audit/ledger')).body.errors[0], /the ledger cannot be disabled/)
  assert.equal(
    (await server.write('sys/audit-hash/none', { input: 'x' })).body.errors[0],
    'unknown audit backend "none/"',
  )
  assert.equal((await server.write('sys/audit-hash/ledger', { input: '' })).status, 400)
})

test('only those with sudo see, enable and disable devices', async () => {
  await using server = await startServer()
  await server.send('PUT', 'sys/policies/acl/no-sudo', {
    policy: 'path "sys/audit*" { capabilities = ["create", "read", "update", "delete"] }',
  })
  const token = await server.login(['no-sudo'])
  assert.equal((await server.read('sys/audit', token)).status, 403)
  assert.equal((await server.send('PUT', 'sys/audit/x', fileDevice(newFile()), { token })).status, 403)
  assert.equal((await server.delete('sys/audit/x', token)).status, 403)
})

test('of ten that enable one device at once, one does, and disabling ends it for good', async () => {
  await using server = await startServer()
  const file = newFile()
  await before(server, 'sys/audit', 'update', meeting(10))
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => server.send('PUT', 'sys/audit/one', fileDevice(file))),
  )
  assert.deepEqual(answers.map(({ status }) => String(status)).toSorted(), ['204', ...Array(9).fill('400')])
  await server.delete('sys/audit/one')
  assert.deepEqual(server.node.core.audit.names(), ['ledger/'])
})

test('a device enabled and disabled at once is in the end both stored and open, or neither', async () => {
  await using server = await startServer()
  for (let round = 0; round < 10; round += 1) {
    const file = newFile()
    await Promise.all([server.send('PUT', 'sys/audit/one', fileDevice(file)), server.delete('sys/audit/one')])
    const stored = Object.keys((await server.read('sys/audit')).body.data)
    const open = server.node.core.audit.names().filter((name) => name !== 'ledger/')
    assert.deepEqual(stored, open)
    await server.delete('sys/audit/one')
  }
})

test('devices write on after the server was sealed and unsealed, with the same hashes', async () => {
  await using server = await startServer()
  const file = newFile()
  await server.send('PUT', 'sys/audit/mine', fileDevice(file))
  const hash = async () => (await server.write('sys/audit-hash/mine', { input: 'x' })).body.data.hash
  const first = await hash()
  assert.equal(await sealAndUnseal(server), 200)
  const { length } = await linesOf(file)
  assert.equal(await hash(), first)
  assert.ok((await linesOf(file)).length > length)
})

test('a device that cannot be opened locks nobody out, is told as failing, and works again when it can', async () => {
  await using server = await startServer()
  const sub = path.join(folder, 'sub')
  await mkdir(sub)
  const file = path.join(sub, 'a.log')
  await server.send('PUT', 'sys/audit/mine', fileDevice(file))
  await rm(sub, { recursive: true })
  await writeFile(sub, 'now a file')
  assert.equal(await sealAndUnseal(server), 200)
  assert.equal((await server.read('sys/mounts')).status, 200)
  assert.ok(server.logged.some((line) => line.startsWith('audit device mine/ cannot be opened')))
  const { status, body, text } = await server.read('sys/health', null)
  assert.deepEqual([status, body.issues], [200, ['audit device mine/ fails']])
  assert.ok(!text.includes(folder), 'strangers learn no paths')
  assert.deepEqual(Object.keys((await server.read('sys/audit')).body.data), ['mine/'])
  await assert.rejects(server.node.reload())
  await rm(sub)
  await mkdir(sub)
  await server.node.reload()
  await server.read('sys/mounts')
  assert.ok((await linesOf(file)).length >= 2)
  assert.equal((await server.read('sys/health', null)).body.issues, undefined)
  assert.equal((await server.delete('sys/audit/mine')).status, 204)
})

test('a device that could not be opened can be disabled', async () => {
  await using server = await startServer()
  const file = newFile()
  await server.send('PUT', 'sys/audit/mine', fileDevice(file))
  await rm(file)
  await mkdir(file)
  assert.equal(await sealAndUnseal(server), 200)
  assert.equal((await server.delete('sys/audit/mine')).status, 204)
  assert.deepEqual(server.node.core.audit.names(), ['ledger/'])
})

test('a token that is made is on record with its accessor, and not in clear', async () => {
  await using server = await startServer()
  const { auth } = (await server.write('auth/token/create', { policies: ['default'] })).body
  const { hash } = (await server.write('sys/audit-hash/ledger', { input: auth.accessor })).body.data
  const lines = await server.trail()
  const made = lines.find(({ type, request }) => type === 'response' && request.path === 'auth/token/create')
  assert.equal(made.response.auth.accessor, hash)
  assert.deepEqual(made.response.auth.token_policies, ['default'])
  assert.ok(!JSON.stringify(lines).includes(auth.client_token))
})
