/** The tour of the README, run word by word in a shell against a server started as the README says. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { parseConfig } from '#boot/config.ts'

const steps = [...readFileSync('README.md', 'utf8').matchAll(/<!-- tour(: refused)? -->\n```sh\n(.*?)```/gs)].map(
  ([, refused, script]) => ({ refused: refused !== undefined, script: script! }),
)

test('what `start` suggests to try works as it is printed', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'strongroom-start-'))
  for (const name of ['bin', 'src', 'package.json']) cpSync(name, path.join(folder, name), { recursive: true })
  symlinkSync(path.join(process.cwd(), 'node_modules'), path.join(folder, 'node_modules'))
  const { server, said } = await start(folder)
  try {
    const script = said.match(/^ {2}(export|strongroom) .*$/gm)!.join('\n')
    const run = spawnSync('bash', ['-ec', script], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: folder },
    })
    assert.equal(run.status, 0, run.stderr)
    assert.match(run.stdout, /password\s+opensesame/)
  } finally {
    server.kill('SIGTERM')
    await once(server, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
})

test('the tour of the README works by its words alone', async () => {
  assert.ok(steps.length >= 6)
  const root = process.cwd()
  const folder = mkdtempSync(path.join(tmpdir(), 'strongroom-tour-'))
  for (const name of ['bin', 'src', 'package.json']) cpSync(name, path.join(folder, name), { recursive: true })
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  const { server, address } = await start(folder)
  try {
    // One shell for all steps, since they build on each other; a marker between them parts their output.
    const script = steps.map(
      ({ refused, script: text }) =>
        `${text.replaceAll('http://127.0.0.1:8200', address)}\nstatus=$?; [ ${refused ? '$status -ne 0' : '$status -eq 0'} ] || { echo "STEP FAILED with $status"; exit 1; }; echo '=== step'`,
    )
    const { HOME: _, ...env } = process.env
    const run = spawnSync('bash', ['-c', script.join('\n')], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...env, HOME: folder },
    })
    assert.equal(run.status, 0, `${run.stdout}\n${run.stderr}`)
    const [status, stored, , fetched, , trail] = run.stdout.split('=== step\n')
    assert.match(status!, /Sealed\s+false/)
    assert.match(stored!, /password\s+opensesame/)
    assert.match(fetched!, /"password":"opensesame"/)
    assert.match(run.stderr, /permission denied/)
    assert.doesNotMatch(trail!, /opensesame/)
    assert.deepEqual(
      trail!
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).auth.policy_results.allowed),
      [false, false],
    )
  } finally {
    server.kill('SIGTERM')
    await once(server, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
})

/** As `npm start` does, but on a port of its own: the tour's own words name the usual one. */
async function start(folder: string) {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: { start: string } }
  const port = 30_000 + (process.pid % 10_000)
  const address = `127.0.0.1:${port}`
  const server = spawn('sh', ['-c', `exec ${scripts.start} -address=${address}`], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  for await (const chunk of server.stdout) {
    said += String(chunk)
    if (said.includes('For production')) break
  }
  assert.match(said, new RegExp(`Address\\s+http://${address}`))
  assert.ok(existsSync(path.join(folder, 'strongroom-data/root-token')))
  return { server, said, address: `http://${address}` }
}

test('the configuration of the README is one that the server reads, with nothing to remark', () => {
  const [, hcl] = /```hcl\n(.*?)```/s.exec(readFileSync('README.md', 'utf8'))!
  const config = parseConfig(hcl!, 'README.md')
  assert.deepEqual(config.notices, [])
  assert.deepEqual(config.storage, { type: 'sqlite', options: { path: '/var/lib/strongroom' } })
  assert.equal(config.listeners[0]!.options['address'], '0.0.0.0:8200')
})
