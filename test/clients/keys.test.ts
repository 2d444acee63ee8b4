/** hvac replaces the keys of a server, and makes a root token that the command line decodes, as test suites of clients do. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { before, test } from 'node:test'
import { Program, temporaryFolder } from '#test/config/program.ts'
import { freePort } from '#test/port.ts'
import { install, runPython } from './installed.ts'

before(install)

test('hvac rekeys with and without verification, makes a root token and rotates', async () => {
  await using folder = await temporaryFolder()
  const port = await freePort()
  const config = { backend: { inmem: {} }, listener: { tcp: { address: `127.0.0.1:${port}`, tls_disable: true } } }
  await writeFile(path.join(folder.path, 'config.json'), JSON.stringify(config))
  await using program = new Program(['server', '-config=config.json'], { cwd: folder.path })
  await program.said(/listening on/)
  const seen = await runPython('keys.py', [`http://127.0.0.1:${port}`, path.resolve('bin/strongroom')])
  assert.deepEqual(seen, {
    idle: false,
    no_backup: { kind: 'InvalidRequest', errors: ['no backed-up keys found'] },
    cancelled: 204,
    rekeyed: [true, 4],
    old_open: false,
    new_open: true,
    verified: true,
    last_open: true,
    generation: [true, 28, 1],
    new_root: ['root'],
    over: false,
    rotated: 1,
  })
})
