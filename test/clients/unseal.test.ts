/** Servers as the test suites of clients start them: a JSON file with old names, TLS, certificate paths from the working directory. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { before, test } from 'node:test'
import { makeAuthority, makeCertificate } from '#test/config/certificates.ts'
import { Program, temporaryFolder } from '#test/config/program.ts'
import { freePort } from '#test/port.ts'
import { sendTls } from '#test/config/requests.ts'
import { install, runPython } from './installed.ts'

/** Test suites give up on a server that has not answered by then. */
const ANSWER_WITHIN_MS = 10_000

before(install)

async function unsealOver(listener: Record<string, string>) {
  await using folder = await temporaryFolder()
  await makeAuthority(folder.path)
  await makeCertificate(folder.path, 'server', 'serverAuth')
  await makeCertificate(folder.path, 'client', 'clientAuth')
  const port = await freePort()
  const config = {
    backend: { inmem: {} },
    listener: {
      tcp: { tls_cert_file: 'server.pem', tls_key_file: 'server-key.pem', address: `127.0.0.1:${port}`, ...listener },
    },
    disable_mlock: true,
    default_lease_ttl: '768h',
    max_lease_ttl: '768h',
  }
  await writeFile(path.join(folder.path, 'config.json'), JSON.stringify(config))
  const startedAt = Date.now()
  await using program = new Program(['server', '-config=config.json'], { cwd: folder.path })
  const pem = (name: string) => path.join(folder.path, `${name}.pem`)
  const files = { ca: pem('ca'), cert: pem('client'), key: pem('client-key') }
  await program.said(/listening on/)
  const { status } = await sendTls(port, 'GET', 'sys/init', files)
  const answeredAfterMs = Date.now() - startedAt
  const seen = await runPython('unseal.py', [`https://127.0.0.1:${port}`, files.ca, files.cert, files.key])
  assert.equal(program.running, true)
  program.signal('SIGKILL')
  // The signal reaches the server itself: the launcher has become it.
  const ended = await program.ended()
  await assert.rejects(sendTls(port, 'GET', 'sys/init', files), { code: 'ECONNREFUSED' })
  return { status, answeredAfterMs, seen, ended }
}

const down = { kind: 'VaultDown', errors: ['Vault is sealed'] }
const expected = {
  initialized_before: false,
  health_before: 501,
  health_before_asked: 242,
  shares: [5, 5],
  initialized_twice: { kind: 'InvalidRequest', errors: ['Vault is already initialized'] },
  sealed: true,
  sealed_health: 503,
  sealed_read: down,
  first: [true, 3, 5, 1, true],
  same_again: 1,
  reset: 0,
  no_share: { kind: 'InvalidRequest', errors: ["'key' must be a valid hex or base64 string"] },
  last: [false, 0],
  root: ['root'],
  lease: 2_764_800,
  no_authority: true,
}

test('hvac initialises a server of five shares and unseals it with three, over TLS', async () => {
  const { status, answeredAfterMs, seen, ended } = await unsealOver({})
  assert.equal(status, 200)
  assert.ok(answeredAfterMs < ANSWER_WITHIN_MS, `answered after ${answeredAfterMs} ms`)
  assert.deepEqual(seen, { ...expected, no_certificate: false })
  assert.deepEqual(ended, { code: null, signal: 'SIGKILL' })
})

test('a listener that verifies client certificates takes hvac with one and refuses it without', async () => {
  const { seen } = await unsealOver({ tls_client_ca_file: 'ca.pem', tls_require_and_verify_client_cert: 'true' })
  assert.deepEqual(seen, { ...expected, no_certificate: true })
})
