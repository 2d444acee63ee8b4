/** The server's log as processes keep it, headers of answers by configuration, and what is told of the configuration. */
import assert from 'node:assert/strict'
import { chmod, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, test } from 'node:test'
import { ServerLog } from '#boot/log.ts'
import { LogFile } from '#boot/log-file.ts'
import { logSettings } from '#boot/log-settings.ts'
import { parseConfig } from '#boot/config.ts'
import { listenerOptions } from '#boot/listeners.ts'
import { freePort } from '#test/port.ts'
import { sendTo } from '#test/server.ts'
import { Program, temporaryFolder, until } from './program.ts'

const base = (port: number, more = '') =>
  `storage "inmem" {}\nlistener "tcp" {\n  address = "127.0.0.1:${port}"\n  tls_disable = true\n${more}\n}\n`

async function run(folder: string, config: string, args: string[] = [], env: Record<string, string> = {}) {
  await writeFile(path.join(folder, 'config.hcl'), config)
  return new Program(['server', '-config=config.hcl', ...args], { cwd: folder, env })
}

async function unsealed(port: number): Promise<string> {
  const { body } = await sendTo(port, 'PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 }, {})
  await sendTo(port, 'PUT', 'sys/unseal', { key: body.keys[0] }, {})
  return body.root_token
}

test('lines are JSON if asked for, in the file as well, which only its owner may read; a rotated one is left for a new one', async () => {
  await using folder = await temporaryFolder()
  const port = await freePort()
  const config = `${base(port)}log_format = "json"\nlog_file = "logs/"\nlog_level = "info"\n`
  await mkdir(path.join(folder.path, 'logs'))
  await using program = await run(folder.path, config)
  const [line] = await program.said(/^\{.*listening on.*\}$/m)
  assert.deepEqual(Object.keys(JSON.parse(line)), ['@level', '@message', '@module', '@timestamp'])
  const file = path.join(folder.path, 'logs', 'strongroom.log')
  // Standard error is written first.
  await until('the line in the file', async () => (await readFile(file, 'utf8')).includes(line) || undefined)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  await rename(file, `${file}.1`)
  process.kill(program.pid, 'SIGHUP')
  await until('a new file', async () => (await stat(file).catch(() => undefined)) ?? undefined)
  process.kill(program.pid, 'SIGTERM')
  assert.equal((await program.ended()).code, 0)
  assert.match(await readFile(file, 'utf8'), /SIGTERM: finishing/)
})

test('a level of the command line wins over the environment and the file, until SIGHUP reads the file again', async () => {
  await using folder = await temporaryFolder()
  const port = await freePort()
  const env = { VAULT_LOG_LEVEL: 'warn' }
  await using program = await run(folder.path, `${base(port)}log_level = "error"\n`, ['-log-level=debug'], env)
  await program.said(/listening on/)
  const token = await unsealed(port)
  const level = async () =>
    (await sendTo(port, 'GET', 'sys/loggers/core', undefined, { 'x-vault-token': token })).body.data.core
  assert.equal(await level(), 'debug')
  process.kill(program.pid, 'SIGHUP')
  await until('the level of the file', async () => ((await level()) === 'error' ? true : undefined))
})

test('a level or format that there is none of keeps the server from starting, and says where it stands', async () => {
  for (const [key, args, said] of [
    ['log_level = "loud"', [], /config\.hcl:7:1: unknown log level "loud"/],
    ['log_format = "xml"', [], /config\.hcl:7:1: unknown log format "xml"/],
    ['log_rotate_bytes = "many"', ['-log-file=l'], /config\.hcl:7:1: log_rotate_bytes is a whole number/],
    ['', ['-log-level=loud'], /-log-level: unknown log level/],
    ['', ['-log-file=none/there.log'], /not there/],
  ] as const) {
    await using folder = await temporaryFolder()
    await using program = await run(folder.path, base(await freePort()) + key, [...args])
    assert.equal((await program.ended()).code, 1)
    assert.match(program.output, said)
  }
})

test('the environment says it where the command line does not', () => {
  const given = { flags: new Map<string, string[]>(), scalars: {} }
  assert.equal(logSettings({ ...given, environment: { VAULT_LOG_FORMAT: 'json' } }).format, 'json')
  const both = { STRONGROOM_LOG_LEVEL: 'trace', VAULT_LOG_LEVEL: 'err' }
  assert.equal(logSettings({ ...given, environment: both }).level, 'trace')
  assert.equal(logSettings({ ...given, environment: { VAULT_LOG_LEVEL: 'err' } }).level, 'error')
})

describe('a log file', () => {
  const options = { maxBytes: 0, maxAgeSeconds: 0, maxFiles: 0 }
  const older = async (folder: string) =>
    (await readdir(folder)).filter((name) => /^a-\d{19}\.log$/.test(name)).toSorted()

  test('is replaced when it has become too long, nothing is lost, and as many older ones stay as are asked for', async () => {
    for (const [maxFiles, left] of [
      [0, 4],
      [2, 2],
      [-1, 0],
    ] as const) {
      await using folder = await temporaryFolder()
      const place = path.join(folder.path, 'a')
      const log = new LogFile({ ...options, place, maxBytes: 20, maxFiles }, assert.fail)
      for (let at = 0; at < 10; at++) log.write(`line ${at} ...\n`)
      await log.close()
      const kept = await older(folder.path)
      assert.equal(kept.length, left)
      if (maxFiles !== 0) continue
      const texts = await Promise.all([...kept, 'a.log'].map((name) => readFile(path.join(folder.path, name), 'utf8')))
      assert.equal(texts.join(''), Array.from({ length: 10 }, (_, at) => `line ${at} ...\n`).join(''))
    }
  })

  test('is replaced when it has become too old', async () => {
    await using folder = await temporaryFolder()
    const log = new LogFile({ ...options, place: path.join(folder.path, 'a.log'), maxAgeSeconds: 0.05 }, assert.fail)
    log.write('old\n')
    await new Promise((resolve) => setTimeout(resolve, 80))
    log.write('new\n')
    await log.close()
    assert.equal(await readFile(path.join(folder.path, 'a.log'), 'utf8'), 'new\n')
    assert.equal((await older(folder.path)).length, 1)
  })

  test('that cannot be opened again is told once, and does not stop the server', async () => {
    await using folder = await temporaryFolder()
    const inner = path.join(folder.path, 'inner')
    await mkdir(inner)
    const told: string[] = []
    const log = new LogFile({ ...options, place: path.join(inner, 'a.log') }, (text) => told.push(text))
    log.write('a\n')
    log.reopen()
    await rename(inner, `${inner}-gone`)
    log.write('b\n')
    log.write('c\n')
    assert.equal(told.length, 1)
    assert.match(told[0]!, /cannot be written/)
    await log.close()
    await chmod(folder.path, 0o700)
  })
})

test('an event is one line, whatever it says', () => {
  const lines: string[] = []
  const log = new ServerLog((line) => lines.push(line))
  log.named('core')('one\ntwo\r\nthree', { at: 'a\nb' })
  assert.match(lines[0]!, /^\S+Z \[INFO\]  core: one two three at="a\\nb"\n$/)
})

test('no more read the log at once than may, though more asked in the same moment; the last ones are told so', async () => {
  const log = new ServerLog(() => {})
  // All are let in before the first one reads: the answer is recorded in between.
  const asked = Array.from({ length: 20 }, () => log.stream('info', 'standard'))
  const readers = asked.map((stream) => stream![Symbol.asyncIterator]())
  log.named('core')('hello')
  const first = await Promise.all(readers.map(async (reader) => String((await reader.next()).value)))
  assert.equal(first.filter((line) => line.includes('hello')).length, 16)
  assert.equal(first.filter((line) => line === 'the log is being followed by too many already\n').length, 4)
  assert.equal((await readers.at(-1)!.next()).done, true)
  assert.equal(log.stream('info', undefined), undefined)
  await readers[0]!.return!()
  assert.notEqual(log.stream('info', undefined), undefined)
})

describe('headers of answers by configuration', () => {
  const custom = `
    custom_response_headers {
      "default" = { "X-Custom" = ["one", "two"], "Strict-Transport-Security" = ["max-age=1"] }
      "4xx" = { "X-Custom" = ["refused"] },
    }`

  test('answers have them, with the name of the machine if asked for; pages cannot set the same ones', async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    await using program = await run(folder.path, `${base(port, custom)}enable_response_header_hostname = true\n`)
    await program.said(/listening on/)
    const health = await sendTo(port, 'GET', 'sys/seal-status', undefined, {})
    assert.equal(health.headers['x-custom'], 'one; two')
    assert.equal(health.headers['strict-transport-security'], 'max-age=1')
    assert.match(String(health.headers['x-vault-hostname']), /^\S+$/)
    assert.equal(health.headers['cache-control'], 'no-store')
    assert.equal((await sendTo(port, 'GET', '/v1', undefined, {})).headers['x-custom'], 'refused')
    const token = await unsealed(port)
    const set = await sendTo(port, 'PUT', 'sys/config/ui/headers/x-custom', { values: 'a' }, { 'x-vault-token': token })
    const text = 'This header already exists in the server configuration and cannot be set in the UI.'
    assert.deepEqual([set.status, set.body.errors], [400, [text]])
  })

  for (const [what, stanza, message] of [
    ['a name of ours', 'custom_response_headers { "default" = { "X-Vault-A" = ["a"] } }', /server's own/],
    ['a name that bodies need', 'custom_response_headers { "200" = { "Content-Length" = ["1"] } }', /server's own/],
    ['no status', 'custom_response_headers { "ok" = { "A" = ["a"] } }', /ok is no status/],
    ['a value with a line break', 'custom_response_headers { "200" = { "A" = ["a\\r\\nB: c"] } }', /no value/],
    ['rules without an origin', 'cors_enabled = true', /at least one origin/],
  ] as const) {
    test(`${what} is refused`, () => {
      const config = parseConfig(base(1, stanza), 'c.hcl')
      assert.throws(() => listenerOptions(config.listeners[0]!), message)
    })
  }

  test('a listener may let pages of other origins ask by itself, until the store says otherwise', async () => {
    await using folder = await temporaryFolder()
    const port = await freePort()
    const cors = 'cors_enabled = true\ncors_allowed_origins = ["https://a.example"]\ncors_allowed_headers = ["X-More"]'
    await using program = await run(folder.path, base(port, cors))
    await program.said(/listening on/)
    const ask = (origin: string) => sendTo(port, 'GET', 'sys/health', undefined, { origin })
    assert.equal((await ask('https://a.example')).headers['access-control-allow-origin'], 'https://a.example')
    assert.equal((await ask('https://b.example')).status, 403)
    const headers = { 'x-vault-token': await unsealed(port) }
    await sendTo(port, 'POST', 'sys/config/cors', { allowed_origins: 'https://b.example' }, headers)
    assert.equal((await ask('https://b.example')).status, 200)
    assert.equal((await ask('https://a.example')).status, 403)
  })
})

test('the configuration is told without what may be secret', async () => {
  await using folder = await temporaryFolder()
  const port = await freePort()
  const config = `${base(port)}audit "file" "disk" { options { file_path = "secret-place" } }
seal "static" { current_key_id = "k1" current_key = "file://key" }
api_addr = "http://127.0.0.1:${port}"\nmax_lease_ttl = "24h"\nlog_level = "debug"\n`
  await writeFile(path.join(folder.path, 'key'), Buffer.alloc(32, 7).toString('base64'))
  await using program = await run(folder.path, config)
  await program.said(/listening on/)
  const init = await sendTo(port, 'PUT', 'sys/init', { recovery_shares: 1, recovery_threshold: 1 }, {})
  const headers = { 'x-vault-token': init.body.root_token }
  const { body, text } = await sendTo(port, 'GET', 'sys/config/state/sanitized', undefined, headers)
  assert.equal(body.data.api_addr, `http://127.0.0.1:${port}`)
  assert.equal(body.data.max_lease_ttl, 86_400)
  assert.equal(body.data.default_lease_ttl, 0)
  assert.equal(body.data.log_level, 'debug')
  assert.equal(body.data.storage.type, 'inmem')
  assert.deepEqual(body.data.seals, [{ disabled: false, type: 'static' }])
  assert.equal(body.data.listeners[0].type, 'tcp')
  assert.equal(body.data.listeners[0].config.address, `127.0.0.1:${port}`)
  assert.doesNotMatch(text, /secret-place|file:\/\/key|k1/)
  for (const [subsystem, status] of [
    ['license', 204],
    ['audit', 204],
    ['log', 204],
    ['none', 400],
    ['constructor', 400],
  ] as const) {
    assert.equal((await sendTo(port, 'POST', `sys/config/reload/${subsystem}`, {}, headers)).status, status, subsystem)
  }
})

test('a server without a configuration takes the level and the format from the environment', async () => {
  await using folder = await temporaryFolder()
  const env = { VAULT_LOG_FORMAT: 'json', STRONGROOM_LOG_LEVEL: 'info' }
  const address = `127.0.0.1:${await freePort()}`
  await using program = new Program(['start', `-data=${path.join(folder.path, 'data')}`, `-address=${address}`], {
    cwd: folder.path,
    env,
  })
  await program.said(/^\{"@level":"info","@message":"unsealed","@module":"core"/m)
  await using refused = new Program(['start', '-data=d'], { cwd: folder.path, env: { VAULT_LOG_LEVEL: 'loud' } })
  assert.equal((await refused.ended()).code, 1)
  assert.match(refused.output, /VAULT_LOG_LEVEL: unknown log level "loud"/)
})
