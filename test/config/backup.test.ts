/** Backups of running servers, and servers of backups. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { copyFile, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { verifyLedger } from '#audit/ledger/verify.ts'
import { sendTo } from '#test/server.ts'
import { launcher, startKept, temporaryFolder } from './program.ts'

const operator = (...words: string[]) => {
  const { status, stdout, stderr } = spawnSync(launcher, ['operator', ...words], { encoding: 'utf8', timeout: 60_000 })
  return { status, stdout, stderr }
}

const rootOf = async (data: string) => (await readFile(path.join(data, 'root-token'), 'utf8')).trim()

/** A server on a restored folder, with the keys of the one that the backup is of. */
async function startRestored(from: string, data: string) {
  for (const name of ['unseal-key', 'root-token']) await copyFile(path.join(from, name), path.join(data, name))
  return startKept(data)
}

test('a backup of a server that is being written to is one moment of it, whole, encrypted, with its ledger', async () => {
  await using folder = await temporaryFolder()
  const [data, backup, again] = ['data', 'backup', 'again'].map((name) => path.join(folder.path, name)) as [
    string,
    string,
    string,
  ]
  let acknowledged = 0
  {
    await using server = await startKept(data)
    const headers = { 'x-vault-token': await rootOf(data) }
    let writing = true
    // Writers of one counter each: the value is the version, in every state that was ever committed.
    const writers = ['a', 'b', 'c', 'd'].map(async (name) => {
      for (let value = 1; writing; value += 1) {
        const body = { data: { value, filler: 'opensesame'.repeat(50) } }
        assert.equal((await sendTo(server.port, 'POST', `secret/data/${name}`, body, headers)).status, 200)
        if (name === 'a') acknowledged = value
      }
    })
    while (acknowledged < 20) await new Promise((resolve) => setTimeout(resolve, 10))
    const before = acknowledged
    const { launched } = await backUpBeside(data, backup)
    assert.equal(launched.code, 0, launched.output)
    assert.match(launched.output, /^Success! Backup made in .*\d+ entries, \d+ KiB, ledger up to line \d+/)
    writing = false
    await Promise.all(writers)
    assert.ok(acknowledged > before, 'it was written to meanwhile')
    acknowledged = before
  }
  const names = (await readdir(backup)).toSorted()
  assert.deepEqual(names, ['ledger', 'manifest.json', 'store.db'])
  for (const name of await readdir(backup, { recursive: true })) {
    const file = path.join(backup, name)
    const status = await stat(file)
    assert.equal(status.mode & 0o077, 0, name)
    if (status.isFile()) assert.ok(!(await readFile(file)).includes('opensesame'), name)
  }
  const restored = operator('restore', `-from=${backup}`, `-data=${again}`)
  assert.equal(restored.status, 0, restored.stderr)
  await using server = await startRestored(data, again)
  const headers = { 'x-vault-token': await rootOf(again) }
  for (const name of ['a', 'b', 'c', 'd']) {
    const { data: found } = (await sendTo(server.port, 'GET', `secret/data/${name}`, undefined, headers)).body
    assert.equal(found.data.value, found.metadata.version)
    if (name === 'a') assert.ok(found.data.value >= acknowledged)
  }
  assert.equal((await sendTo(server.port, 'POST', 'secret/data/a', { data: { value: 0 } }, headers)).status, 200)
  const verdict = await verifyLedger(path.join(again, 'ledger'))
  assert.deepEqual([verdict.ok, verdict.problems], [true, []])
})

/** Not spawnSync: the writers live in this process. */
async function backUpBeside(data: string, backup: string) {
  const { spawn } = await import('node:child_process')
  const child = spawn(launcher, ['operator', 'backup', `-data=${data}`, `-to=${backup}`])
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)))
  const code = await new Promise((resolve) => child.on('close', resolve))
  return { launched: { code, output } }
}

test('what is damaged, in the way or not there is told, and nothing is changed', async () => {
  await using folder = await temporaryFolder()
  const at = (...names: string[]) => path.join(folder.path, ...names)
  {
    await using server = await startKept(at('data'))
    assert.equal(operator('backup', `-data=${at('data')}`, `-to=${at('good')}`).status, 0)
    // A server runs where the store should go, and a store is there.
    const running = operator('restore', `-from=${at('good')}`, `-data=${at('data')}`)
    assert.deepEqual([running.status, running.stdout], [1, ''])
    assert.match(running.stderr, /holds a store already: move it away first; nothing was changed/)
    await rm(at('data', 'store.db'))
    const locked = operator('restore', `-from=${at('good')}`, `-data=${at('data')}`)
    assert.match(locked.stderr, /in use by another server/)
    await server.program.kill()
  }
  const told = (words: string[], message: RegExp) => {
    const { status, stderr, stdout } = operator(...words)
    assert.deepEqual([status, stdout], [1, ''], words.join(' '))
    assert.match(stderr, message)
    assert.doesNotMatch(stderr, /\n\s+at /)
  }
  told(['backup', `-data=${at('data')}`, `-to=${at('good')}`], /is there already/)
  told(['backup', `-data=${at('none')}`, `-to=${at('b')}`], /there is no store in/)
  told(['backup', `-to=${at('b')}`], /say where the data is/)
  told(['backup', `-data=${at('data')}`], /-to is needed/)
  await writeFile(at('memory.hcl'), 'storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n')
  told(['backup', `-config=${at('memory.hcl')}`, `-to=${at('b')}`], /keeps its data in memory/)
  await mkdir(at('b.partial'))
  await rm(at('data', 'ledger'), { recursive: true })
  told(['backup', `-data=${at('data')}`, `-to=${at('b')}`], /b\.partial is there: a backup that is being made/)
  assert.equal(operator('restore', `-from=${at('good')}`, '-check').status, 0)

  const [segment] = await readdir(at('good', 'ledger'))
  for (const name of ['store.db', `ledger/${segment}`]) {
    const original = await readFile(at('good', name))
    const changed = Buffer.from(original)
    changed[original.length - 5]! ^= 1
    await writeFile(at('good', name), changed)
    told(['restore', `-from=${at('good')}`, '-check'], /is not the file that was backed up/)
    told(['restore', `-from=${at('good')}`, `-data=${at('new')}`], /is not the file that was backed up/)
    await writeFile(at('good', name), original)
  }
  const manifest = await readFile(at('good', 'manifest.json'), 'utf8')
  await writeFile(at('good', 'manifest.json'), manifest.replace('ledger/', 'ledger/../../'))
  told(['restore', `-from=${at('good')}`, `-data=${at('new')}`], /names other files/)
  await writeFile(at('good', 'manifest.json'), manifest)
  told(['restore', `-from=${at('data')}`, `-data=${at('new')}`], /is not a backup/)

  await mkdir(at('new', 'ledger'), { recursive: true })
  await writeFile(at('new', 'ledger', segment!), 'another')
  told(['restore', `-from=${at('good')}`, `-data=${at('new')}`], /holds another ledger/)
  assert.equal(await readFile(at('new', 'ledger', segment!), 'utf8'), 'another')
  // Cut off before the store was in place: the same segments are there, and a draft.
  await copyFile(at('good', 'ledger', segment!), at('new', 'ledger', segment!))
  await writeFile(at('new', 'store.db.restoring'), 'half')
  assert.equal(operator('restore', `-from=${at('good')}`, `-data=${at('new')}`).status, 0)
  await using server = await startRestored(at('data'), at('new'))
  const headers = { 'x-vault-token': await rootOf(at('new')) }
  assert.equal((await sendTo(server.port, 'GET', 'sys/mounts', undefined, headers)).status, 200)
})

test('a ledger that does not fit together is no backup', async () => {
  await using folder = await temporaryFolder()
  const [data, backup] = [path.join(folder.path, 'data'), path.join(folder.path, 'backup')]
  {
    await using server = await startKept(data)
    const headers = { 'x-vault-token': await rootOf(data) }
    for (let n = 0; n < 3; n += 1) await sendTo(server.port, 'GET', 'sys/mounts', undefined, headers)
  }
  const [segment] = await readdir(path.join(data, 'ledger'))
  await using file = await open(path.join(data, 'ledger', segment!), 'r+')
  await file.write('x', 300)
  const { status, stderr } = operator('backup', `-data=${data}`, `-to=${backup}`)
  assert.equal(status, 1)
  assert.match(stderr, /the ledger in .* is not whole/)
  assert.deepEqual(
    (await readdir(folder.path)).filter((name) => name.startsWith('backup')),
    [],
  )
})

test('a configured server with its ledger elsewhere is backed up by its configuration', async () => {
  await using folder = await temporaryFolder()
  const config = path.join(folder.path, 'c.hcl')
  const place = (name: string) => path.join(folder.path, name)
  const text = (data: string, trail: string) =>
    `storage "raft" { path = "${place(data)}" }\nledger { path = "${place(trail)}" }\nlistener "tcp" { tls_disable = true }\n`
  {
    await using _ = await startKept(place('kept'))
    await rm(place('kept/root-token'))
  }
  await writeFile(config, text('kept', 'kept/ledger'))
  assert.equal(operator('backup', `-config=${config}`, `-to=${place('backup')}`).status, 0)
  await writeFile(config, text('data', 'trail'))
  const { status, stdout } = operator('restore', `-config=${config}`, `-from=${place('backup')}`)
  assert.equal(status, 0)
  assert.match(stdout, /Start the server and unseal it/)
  assert.deepEqual((await readdir(place('data'))).toSorted(), ['lock.db', 'store.db'])
  assert.equal((await verifyLedger(place('trail'))).ok, true)
})
