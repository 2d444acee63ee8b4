/** The `telemetry` stanza and that of a listener, in servers with a configuration. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { parseConfig } from '#boot/config.ts'
import { listenerOptions } from '#boot/listeners.ts'
import { telemetryConfig } from '#boot/telemetry.ts'
import { Program, temporaryFolder } from '#test/config/program.ts'
import { freePort } from '#test/port.ts'
import { sendTo } from '#test/server.ts'

const listener = (port: number, more = '') =>
  `listener "tcp" {\n  address = "127.0.0.1:${port}"\n  tls_disable = true\n${more}}\n`
const read = (text: string) => {
  const config = parseConfig(`storage "inmem" {}\n${listener(1)}${text}`, 'x.hcl')
  const notices = [...config.notices]
  return { telemetry: telemetryConfig(config.telemetry, notices), notices }
}

test('without a stanza: the prefix of the Vault API, the name of the host in gauges, usage every ten minutes', () => {
  assert.deepEqual(read(''), {
    telemetry: {
      naming: { prefix: 'vault', host: hostname(), hostLabel: undefined, filters: [], filterDefault: true },
      prometheus: true,
      usageSeconds: 600,
    },
    notices: [],
  })
})

test('the stanza is read, and what is sent nowhere is told', () => {
  const { telemetry, notices } = read(`telemetry {
  metrics_prefix = "bao"
  disable_hostname = true
  enable_hostname_label = true
  prometheus_retention_time = "0s"
  usage_gauge_period = "none"
  maximum_gauge_cardinality = 100
  filter_default = false
  prefix_filter = ["+bao.core", "-bao.core.active"]
  statsd_address = "localhost:8125"
  metric_prefix = "typo"
}`)
  assert.deepEqual(telemetry, {
    naming: {
      prefix: 'bao',
      host: undefined,
      hostLabel: hostname(),
      filters: ['+bao.core', '-bao.core.active'],
      filterDefault: false,
    },
    prometheus: false,
    usageSeconds: 0,
  })
  assert.deepEqual(
    notices.map((notice) => notice.replace(/^.*telemetry/, 'telemetry')),
    ['telemetry: "statsd_address" has no effect in this version', 'telemetry is ignored'],
  )
})

test('values that cannot be read keep the server from starting', () => {
  for (const line of [
    'usage_gauge_period = "often"',
    'prefix_filter = ["vault"]',
    'metrics_prefix = "a b"',
    'disable_hostname = "perhaps"',
  ]) {
    assert.throws(
      () => read(`telemetry {\n  ${line}\n}`),
      /telemetry|usage_gauge_period|prefix_filter|metrics_prefix|disable_hostname/,
    )
  }
  assert.throws(() => read('telemetry {}\ntelemetry {}'), /more than one telemetry/)
})

test('a listener opens nothing unless it says so, in HCL and in JSON', () => {
  const open = (text: string) => listenerOptions(parseConfig(text, 'x').listeners[0]!).open
  const hcl = (more: string) => open(`storage "inmem" {}\n${listener(1, more)}`)
  assert.equal(hcl(''), undefined)
  assert.equal(hcl('telemetry {}\n'), undefined)
  assert.equal(hcl('telemetry { unauthenticated_metrics_access = false }\n'), undefined)
  assert.deepEqual(hcl('telemetry { unauthenticated_metrics_access = "true" }\n'), new Set(['sys/metrics']))
  assert.deepEqual(
    hcl('inflight_requests_logging { unauthenticated_in_flight_requests_access = true }\n'),
    new Set(['sys/in-flight-req']),
  )
  const json = {
    tcp: { address: '127.0.0.1:1', tls_disable: true, telemetry: { unauthenticated_metrics_access: true } },
  }
  assert.deepEqual(open(JSON.stringify({ storage: { inmem: {} }, listener: json })), new Set(['sys/metrics']))
  assert.throws(
    () => hcl('telemetry { unauthenticated_metrics_access = "perhaps" }\n'),
    /unauthenticated_metrics_access/,
  )
  assert.throws(() => hcl('telemetry = "yes"\n'), /telemetry is a block/)
})

test('only the listener that is set so answers without a token, for these paths alone, and sealed too', async () => {
  await using folder = await temporaryFolder()
  const [open, closed] = [await freePort(), await freePort()]
  await writeFile(
    path.join(folder.path, 'c.hcl'),
    `storage "inmem" {}
${listener(open, 'telemetry { unauthenticated_metrics_access = true }\ninflight_requests_logging { unauthenticated_in_flight_requests_access = true }\n')}
${listener(closed)}
telemetry {
  metrics_prefix = "room"
  disable_hostname = true
}
`,
  )
  await using program = new Program(['server', '-config=c.hcl'], { cwd: folder.path })
  await program.said(/listening on/)
  const get = (port: number, where: string) => sendTo(port, 'GET', where, undefined, {})
  const sealed = await get(open, 'sys/metrics?format=prometheus')
  assert.equal(sealed.status, 200)
  assert.match(sealed.text, /^room_core_unsealed 0$/m)
  assert.equal((await get(closed, 'sys/metrics')).status, 503)
  const { keys_base64: keys } = (await sendTo(open, 'PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 }, {}))
    .body
  await sendTo(open, 'PUT', 'sys/unseal', { key: keys[0] }, {})
  assert.match((await get(open, 'sys/metrics?format=prometheus')).text, /^room_core_unsealed 1$/m)
  assert.deepEqual((await get(open, 'sys/in-flight-req')).body, {})
  assert.equal((await get(open, 'sys/host-info')).status, 403)
  assert.equal((await sendTo(open, 'POST', 'sys/metrics', {}, {})).status, 405)
  for (const where of ['sys/metrics', 'sys/in-flight-req']) assert.equal((await get(closed, where)).status, 403)
})
