/** Audit devices that the configuration declares. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import test from 'node:test'
import { ConfigError, parseConfig } from '#boot/config.ts'
import { sendTo } from '#test/server.ts'
import { Program, temporaryFolder, until } from './program.ts'
import { freePort } from '#test/port.ts'

const base = 'storage "inmem" {}\nlistener "tcp" { tls_disable = true }\n'

test('a declared device is read with its options, in HCL and in JSON', () => {
  const hcl = parseConfig(
    `${base}audit "file" "disk" {\n description = "d"\n options { file_path = "/var/log/a.log" log_raw = "true" }\n}`,
    'c.hcl',
  )
  const json = parseConfig(
    JSON.stringify({
      storage: { inmem: {} },
      listener: { tcp: { tls_disable: true } },
      audit: { file: { disk: { description: 'd', options: { file_path: '/var/log/a.log', log_raw: 'true' } } } },
    }),
    'c.json',
  )
  for (const { auditDevices, notices } of [hcl, json]) {
    const [{ at: _, ...device }] = auditDevices as [(typeof auditDevices)[number]]
    assert.deepEqual(device, {
      type: 'file',
      path: 'disk',
      description: 'd',
      options: { file_path: '/var/log/a.log', log_raw: 'true' },
    })
    assert.deepEqual(notices, [])
  }
  assert.throws(() => parseConfig(`${base}audit "file" { }`, 'c.hcl'), ConfigError)
})

test('a declared device holds the first request after the first unseal; one that cannot be opened is told', async () => {
  await using folder = await temporaryFolder()
  const port = await freePort()
  const file = path.join(folder.path, 'audit.log')
  await writeFile(
    path.join(folder.path, 'c.hcl'),
    `storage "inmem" {}
listener "tcp" {
  tls_disable = true
  address = "127.0.0.1:${port}"
}
audit "file" "disk" { options { file_path = "${file}" } }
audit "file" "nowhere" { options { file_path = "/proc/none/a.log" } }
`,
  )
  await using program = new Program(['server', `-config=${path.join(folder.path, 'c.hcl')}`])
  const send = (method: string, where: string, body?: unknown, token?: string) =>
    sendTo(port, method, where, body, token === undefined ? {} : { 'x-vault-token': token })
  await until('an answer', async () => send('GET', 'sys/init').catch(() => undefined))
  const { keys, root_token } = (await send('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 })).body
  await send('PUT', 'sys/unseal', { key: keys[0] })
  const devices = (await send('GET', 'sys/audit', undefined, root_token)).body.data
  assert.deepEqual(Object.keys(devices), ['disk/'])
  const lines = (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(lines[0].request.path, 'sys/audit')
  assert.match(program.output, /nowhere\/ of the configuration/)
})
