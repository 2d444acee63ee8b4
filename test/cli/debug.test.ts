/** `debug` and `monitor` against a real server. */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { blankSecrets, blankTokens } from '#cli/blank.ts'
import { root, startWorkplace } from './harness.ts'

const read = async (directory: string, name: string) => JSON.parse(await readFile(join(directory, name), 'utf8'))

test('a bundle holds what the server said, what could not be had, and no secret', async () => {
  await using workplace = await startWorkplace()
  const { code, stderr } = await workplace.sh(
    'strongroom debug -duration=60s -interval=1s -output=bundle -target=config,server-status,log -target=host & pid=$!\n' +
      'sleep 2; strongroom operator seal >/dev/null; sleep 3; kill -INT $pid; wait $pid',
  )
  assert.equal(code, 0, stderr)
  const archive = join(workplace.directory, 'bundle.tar.gz')
  assert.equal((await stat(archive)).mode & 0o777, 0o600)
  execFileSync('tar', ['xzf', archive], { cwd: workplace.directory })
  const folder = join(workplace.directory, 'bundle')
  const names = await readdir(folder)
  assert.ok(names.includes('config.json') && names.includes('index.json') && names.includes('server_status.json'))
  const states = await read(folder, 'server_status.json')
  assert.ok(states.length >= 2)
  assert.equal(states[0].health.sealed, false)
  assert.equal(states.at(-1).seal.sealed, true)
  assert.match(await readFile(join(folder, 'server.log'), 'utf8'), /ending monitor session/)
  const index = await read(folder, 'index.json')
  assert.deepEqual(index.targets, ['config', 'host', 'log', 'server-status'])
  assert.equal(index.duration_seconds, 60)
  for (const name of names) {
    assert.equal((await stat(join(folder, name))).mode & 0o777, 0o600)
    assert.doesNotMatch(await readFile(join(folder, name), 'utf8'), /hvs\./)
  }
})

test('a folder if asked for, never over something that is there; an interrupt ends it early and keeps what there is', async () => {
  await using workplace = await startWorkplace()
  const started = performance.now()
  const child = spawn(
    join(root, 'bin/strongroom'),
    ['debug', '-duration=60s', '-output=folder', '-compress=false', '-target=server-status'],
    {
      cwd: workplace.directory,
      env: {
        PATH: process.env['PATH'],
        HOME: workplace.home,
        STRONGROOM_ADDR: workplace.address,
        STRONGROOM_TOKEN: 'root',
      },
    },
  )
  let said = ''
  for await (const piece of child.stdout) {
    said += String(piece)
    if (said.includes('==>')) break
  }
  await new Promise((resolve) => setTimeout(resolve, 700))
  child.kill('SIGINT')
  const code = await new Promise((resolve) => child.once('exit', resolve))
  assert.equal(code, 0)
  assert.ok(performance.now() - started < 30_000)
  assert.equal((await read(join(workplace.directory, 'folder'), 'server_status.json')).length, 1)
  const again = await workplace.sh('strongroom debug -duration=0s -output=folder -compress=false -target=server-status')
  assert.equal(again.code, 1)
  assert.match(again.stderr, /folder is there already/)
})

test('what the token may not read is told, and what cannot be asked for is refused', async () => {
  await using workplace = await startWorkplace()
  const { code } = await workplace.sh(
    'strongroom debug -duration=0s -output=b -compress=false -target=config,server-status',
    { env: { STRONGROOM_TOKEN: 'wrong' } },
  )
  assert.equal(code, 0)
  const folder = join(workplace.directory, 'b')
  assert.deepEqual((await readdir(folder)).toSorted(), ['index.json', 'server_status.json'])
  const [error] = (await read(folder, 'index.json')).errors
  assert.equal(error.target, 'config')
  assert.match(error.error, /403/)
  for (const flags of ['-target=none', '-interval=0s', '-duration=2h']) {
    assert.equal((await workplace.sh(`strongroom debug ${flags}`)).code, 1, flags)
  }
})

test('the log is followed until the server is sealed', async () => {
  await using workplace = await startWorkplace()
  const { code, stdout } = await workplace.sh(
    '(sleep 1.5; strongroom operator seal >/dev/null) & strongroom monitor -log-level=debug; code=$?; wait; exit $code',
  )
  assert.equal(code, 0)
  assert.match(stdout, /core received sealed state change, ending monitor session\n$/)
})

test('secrets are blanked by the name of their member and, if they are tokens, anywhere', () => {
  const token = `hvs.${'A1b2'.repeat(8)}`
  const told = {
    client_token: 'abc',
    nested: [{ Password: 'x', tls_key_file: 'key.pem', max_lease_ttl: 5 }],
    text: `a ${token}.`,
  }
  assert.deepEqual(blankSecrets(told), {
    client_token: '<left out>',
    nested: [{ Password: '<left out>', tls_key_file: 'key.pem', max_lease_ttl: 5 }],
    text: 'a <left out>.',
  })
  assert.equal(blankTokens(`request by ${token} and core.rules`), 'request by <left out> and core.rules')
})
