/** `strongroom start` where something is not as it should be: each time a clear word, and nothing lost. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, cp, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import test from 'node:test'
import { parseConfig } from '#boot/config.ts'
import { freePort } from '#test/port.ts'
import { sendTo } from '#test/server.ts'
import { refusalOf } from './configured.ts'
import { Program, startKept, temporaryFolder } from './program.ts'

const startIn = async (data: string) =>
  new Program(['start', `-data=${data}`, `-address=127.0.0.1:${await freePort()}`])

test('when the usual port is taken a free one is chosen, and it is told', async () => {
  await using folder = await temporaryFolder()
  const other = createServer().listen(8200, '127.0.0.1')
  // Somebody else may have it already: then it is taken all the same.
  await Promise.race([once(other, 'listening'), once(other, 'error')])
  try {
    await using program = new Program(['start', `-data=${path.join(folder.path, 'data')}`])
    await program.said(/For production/)
    assert.match(program.output, /Another program listens on port 8200, so a free one was chosen/)
    const [, port] = await program.said(/Address +http:\/\/127\.0\.0\.1:(\d+)/)
    assert.notEqual(port, '8200')
    assert.equal((await sendTo(Number(port), 'GET', 'sys/health', undefined, {})).status, 200)
  } finally {
    other.close()
  }
})

test('the first run leaves a configuration to begin with, which the server reads without a remark', async () => {
  await using folder = await temporaryFolder()
  const data = path.join(folder.path, 'data')
  await using server = await startKept(data)
  assert.ok(server.program.output.includes(path.join(data, 'production-example.hcl')))
  const text = await readFile(path.join(data, 'production-example.hcl'), 'utf8')
  const { notices, auditDevices } = parseConfig(text, 'example')
  assert.deepEqual(notices, [])
  assert.equal(auditDevices.length, 1)
  assert.ok(!text.includes((await readFile(path.join(data, 'unseal-key'), 'utf8')).trim()))
})

test('a damaged or foreign key does not open the store, and it is told what to do; the right one does', async () => {
  await using folder = await temporaryFolder()
  const [data, other] = [path.join(folder.path, 'data'), path.join(folder.path, 'other')]
  for (const each of [data, other]) await (await startKept(each)).program.kill()
  const file = path.join(data, 'unseal-key')
  const key = await readFile(file, 'utf8')
  for (const wrong of ['', 'no key', key.slice(0, 20), await readFile(path.join(other, 'unseal-key'), 'utf8')]) {
    await writeFile(file, wrong)
    const { code, output } = await refusalOf(await startIn(data))
    assert.equal(code, 1, output)
    assert.match(output, /^strongroom: the key in .*unseal-key does not open the store/m)
    assert.match(output, /Put the right key back from your copy/)
    assert.doesNotMatch(output, /\n\s+at |no key\n/)
  }
  await writeFile(file, key)
  await using server = await startKept(data)
  assert.equal((await sendTo(server.port, 'GET', 'sys/health', undefined, {})).status, 200)
})

test('a key file that others may read is closed to them, and it is told', async () => {
  await using folder = await temporaryFolder()
  const data = path.join(folder.path, 'data')
  await (await startKept(data)).program.kill()
  await chmod(path.join(data, 'unseal-key'), 0o644)
  await using server = await startKept(data)
  assert.match(
    server.program.output,
    /other users of this machine could read .*unseal-key \(mode 644\); that is mended/,
  )
  assert.equal((await stat(path.join(data, 'unseal-key'))).mode & 0o777, 0o600)
})

test('where no folder can be made, the folder is named', async () => {
  await using folder = await temporaryFolder()
  const file = path.join(folder.path, 'file')
  await writeFile(file, '')
  const { code, output } = await refusalOf(await startIn(path.join(file, 'data')))
  assert.equal(code, 1)
  assert.match(output, /^strongroom: cannot open the data folder .*file\/data/m)
  assert.doesNotMatch(output, /\n\s+at /)
})

test('a folder that may only be read is told, and left as it is', async () => {
  await using folder = await temporaryFolder()
  const data = path.join(folder.path, 'data')
  await mkdir(data)
  await chmod(data, 0o555)
  await chmod(folder.path, 0o755)
  // Root may write anywhere, so it becomes somebody else; for whom the program must lie where all may read.
  const isRoot = process.getuid!() === 0
  const program = path.join(folder.path, 'program')
  await mkdir(program)
  for (const name of ['bin', 'src', 'package.json']) await cp(name, path.join(program, name), { recursive: true })
  await cp('node_modules', path.join(program, 'node_modules'), {
    recursive: true,
    dereference: true,
    filter: (source) =>
      source === 'node_modules' || /node_modules\/(?:node-linux-\w+|shamir-secret-sharing)(?:\/|$)/.test(source),
  })
  await symlink(path.join(program, 'bin/strongroom'), path.join(folder.path, 'strongroom'))
  const words = ['start', `-data=${data}`, `-address=127.0.0.1:${await freePort()}`]
  const { spawnSync } = await import('node:child_process')
  const run = isRoot
    ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', path.join(folder.path, 'strongroom'), ...words]
    : [path.join(folder.path, 'strongroom'), ...words]
  const { status, stderr } = spawnSync(run[0]!, run.slice(1), { encoding: 'utf8', timeout: 30_000 })
  assert.equal(status, 1, stderr)
  assert.match(
    stderr,
    /^strongroom: cannot open the data folder .*data: .*(?:permission denied|EACCES|unable to open)/im,
  )
  assert.doesNotMatch(stderr, /\n\s+at /)
})

test('a folder in use is told with what to do', async () => {
  await using folder = await temporaryFolder()
  const data = path.join(folder.path, 'data')
  await using _server = await startKept(data)
  const { code, output } = await refusalOf(await startIn(data))
  assert.equal(code, 1)
  assert.match(output, /in use by another server: stop that one, or give this one a folder of its own/)
})
