/** `seal "transit"` with the configurations of the how-to: one real server unseals another, over TLS. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'node:test'
import { wrapProven } from '#seal/migration.ts'
import { Seal } from '#seal/seal.ts'
import { kind } from '#seal/transit/unseal.ts'
import type { Driver } from '#sdk/storage.ts'
import { temporaryFolder, until } from '#test/config/program.ts'
import { type Guard, startGuard } from './guard.ts'
import { assertUnspoken, example, serve, startGate } from './servers.ts'
import { memoryDriver, noOptions, sqliteDriver, TestClock } from './support.ts'

const recovery = { recovery_shares: 2, recovery_threshold: 2 }
for (const name of Object.keys(process.env)) if (/^(?:VAULT|BAO)_/.test(name)) delete process.env[name]

async function keyIdIn(driver: Driver): Promise<string> {
  return JSON.parse(Buffer.from((await driver.get('seal/root-key'))!.value).toString()).key_id
}

/** For seals of this process. */
const optionsFor = (guard: Guard, folder: string, more: Record<string, string> = {}) => ({
  address: guard.address,
  token: guard.token,
  mount_path: 'transit',
  key_name: 'unseal-app',
  tls_ca_cert: path.join(folder, 'ca.pem'),
  ...more,
})
const openSeal = async (options: Record<string, string>, driver?: Driver, clock = new TestClock()) =>
  await Seal.open(driver ?? (await memoryDriver()), { type: 'transit', options }, clock)

test('one server unseals another at each start, and wraps anew after its key was rotated', async () => {
  await using folder = await temporaryFolder()
  await using guard = await startGuard(folder.path)
  const config = example('transit', folder.path)
  const env = { VAULT_ADDR: guard.address }
  const first = await serve(folder.path, config, env)
  const made = (await first.send('PUT', 'sys/init', recovery)).body
  const { type, sealed, recovery_seal } = await first.status()
  assert.deepEqual([type, sealed, recovery_seal], ['transit', false, true])
  await first.send('POST', 'cubbyhole/a', { v: 1 }, made.root_token)
  await first.stop()

  await guard.rotate()
  const second = await serve(folder.path, config, env)
  await second.unsealed()
  assert.deepEqual((await second.send('GET', 'cubbyhole/a', undefined, made.root_token)).body.data, { v: 1 })
  await assertUnspoken(second, [guard.token, made.root_token, ...made.recovery_keys])
  await second.stop()
  const driver = await sqliteDriver(path.join(folder.path, 'data'))
  assert.equal(await keyIdIn(driver), 'transit/unseal-app:v2')
  await driver.close()

  // So the first version is needed no more.
  await guard.cli('strongroom write transit/keys/unseal-app/config min_decryption_version=2')
  const third = await serve(folder.path, config, env)
  await third.unsealed()
  await third.stop()
})

test('a key that is rotated while the server runs: within ten minutes the root key has its newest version', async () => {
  await using folder = await temporaryFolder()
  await using guard = await startGuard(folder.path)
  const [driver, clock] = [await memoryDriver(), new TestClock()]
  const seal = await openSeal(optionsFor(guard, folder.path), driver, clock)
  await seal.initialize(noOptions)
  await seal.unsealAutomatically()
  await guard.rotate()
  await seal.check()
  assert.equal(await keyIdIn(driver), 'transit/unseal-app:v1', 'not looked at before it is due')
  clock.passSeconds(601)
  await seal.check()
  assert.equal(await keyIdIn(driver), 'transit/unseal-app:v2')
  await seal.close()
  const again = await openSeal(optionsFor(guard, folder.path), driver)
  await again.unsealAutomatically()
  await again.close()
})

test('while the other server is down, sealed or refuses, this one is sealed, tells it, and opens when it can', async () => {
  await using folder = await temporaryFolder()
  await using guard = await startGuard(folder.path)
  await using gate = await startGate(guard.port)
  const config = example('transit', folder.path)
  const env = { VAULT_ADDR: `https://127.0.0.1:${gate.port}` }
  const first = await serve(folder.path, config, env)
  const { recovery_keys_base64: keys, root_token: root } = (await first.send('PUT', 'sys/init', recovery)).body
  await first.stop()

  await gate.shut()
  await using down = await serve(folder.path, config, env)
  await down.program.said(/auto-unseal fails and is tried again: .*transit\/decrypt\/unseal-app: .*ECONNREFUSED/)
  const health = await down.send('GET', 'sys/health')
  assert.deepEqual([health.status, health.body.issues], [503, ['auto-unseal fails: see the server log']])
  await guard.seal()
  await gate.open()
  await down.program.said(/auto-unseal fails and is tried again: .*status 503: Vault is sealed/)
  await guard.unseal()
  await down.unsealed()
  await down.stop()

  await writeFile(path.join(folder.path, 'unseal-token'), 'hvs.of-nobody')
  await using refused = await serve(folder.path, config, env)
  await refused.program.said(/auto-unseal fails and is tried again: .*status 403: .*permission denied/)
  await assertUnspoken(refused, ['hvs.of-nobody', guard.token, root, ...keys])
})

test('sealed by hand, a server stays sealed although it was still trying', async () => {
  await using folder = await temporaryFolder()
  await using guard = await startGuard(folder.path)
  await using gate = await startGate(guard.port)
  const config = example('transit', folder.path)
  const env = { VAULT_ADDR: `https://127.0.0.1:${gate.port}` }
  const first = await serve(folder.path, config, env)
  const { recovery_keys_base64: keys, root_token: root } = (await first.send('PUT', 'sys/init', recovery)).body
  await first.stop()
  await gate.shut()
  await using server = await serve(folder.path, config, env)
  await until('the third try', async () => (server.program.output.split('tried again').length > 3 ? true : undefined))
  await gate.open()
  for (const key of keys) await server.send('PUT', 'sys/unseal', { key })
  await server.unsealed()
  assert.equal((await server.send('PUT', 'sys/seal', {}, root)).status, 204)
  // The pause that was running has at most 4 s, and a fifth.
  await sleep(6000)
  assert.equal((await server.status()).sealed, true)
  for (const key of keys) await server.send('PUT', 'sys/unseal', { key })
  await server.unsealed()
})

test('a token of short life is kept alive, unless somebody else does it; what fails is told', async () => {
  await using folder = await temporaryFolder()
  await using guard = await startGuard(folder.path)
  const make = async () => await guard.cli('strongroom token create -orphan -period=3s -policy=unseal-app -field=token')
  const [kept, left] = [await make(), await make()]
  const renewing = await kind.open(optionsFor(guard, folder.path, { token: kept }))
  const other = await kind.open(optionsFor(guard, folder.path, { token: left, disable_renewal: 'true' }))
  for (const each of [renewing, other]) await each.wrap(Buffer.alloc(32))
  await sleep(6000)
  await renewing.wrap(Buffer.alloc(32))
  assert.equal(renewing.trouble!(), undefined)
  await assert.rejects(other.wrap(Buffer.alloc(32)), { code: 'upstream_failed', reason: /status 403/ })

  await guard.cli(`strongroom token revoke ${kept}`)
  await until('word of the failed renewal', async () => renewing.trouble!())
  assert.match(renewing.trouble!()!.reason!, /^auth\/token\/renew-self: status 403/)
  await renewing.close!()
})

test('a token that may encrypt and not decrypt makes no seal: a migration to it writes nothing', async () => {
  await using folder = await temporaryFolder()
  await using guard = await startGuard(folder.path)
  const half = 'path "transit/encrypt/unseal-app" { capabilities = ["update"] }'
  await guard.cli(`echo '${half}' | strongroom policy write half -`)
  const token = await guard.cli('strongroom token create -orphan -policy=half -field=token')
  const [driver, clock] = [await memoryDriver(), new TestClock()]
  const old = await Seal.open(driver, { type: 'shamir' }, clock)
  const { shares } = await old.initialize({ ...noOptions, shares: 1, threshold: 1 })
  const before = await driver.scan('seal/')
  const halfway = await openSeal(optionsFor(guard, folder.path, { token }), driver)
  await assert.rejects(halfway.submitShare(shares[0]!, { migrate: true }), { code: 'upstream_failed' })
  assert.deepEqual(await driver.scan('seal/'), before)
  assert.deepEqual([halfway.status().sealed, halfway.status().migration], [true, true])

  const seal = await openSeal(optionsFor(guard, folder.path), driver)
  assert.equal((await seal.submitShare(shares[0]!, { migrate: true })).sealed, false)
  for (const each of [halfway, seal]) await each.close()
})

test('from one key of the other server to another, with two stanzas of one type', async () => {
  await using folder = await temporaryFolder()
  await using guard = await startGuard(folder.path)
  await guard.cli('strongroom write -f transit/keys/next')
  const policy = '{"policy": "path \\"transit/+/next\\" { capabilities = [\\"update\\"] }"}'
  await guard.send('PUT', 'sys/policies/acl/next', JSON.parse(policy))
  const token = await guard.cli('strongroom token create -orphan -policy=next -field=token')
  const old = await openSeal(optionsFor(guard, folder.path))
  const driver = await memoryDriver()
  const first = await openSeal(optionsFor(guard, folder.path), driver)
  const { recoveryShares } = await first.initialize({ ...noOptions, recoveryShares: 1, recoveryThreshold: 1 })
  const next = { token, key_name: 'next' }
  const seal = await Seal.open(
    driver,
    {
      type: 'transit',
      options: optionsFor(guard, folder.path, next),
      leaving: { type: 'transit', options: optionsFor(guard, folder.path, { disabled: 'true' }) },
    },
    new TestClock(),
  )
  await assert.rejects(seal.unsealAutomatically(), { code: 'upstream_failed' })
  assert.equal(seal.status().migration, true)
  assert.equal((await seal.submitShare(recoveryShares[0]!, { migrate: true })).migration, false)
  assert.equal(await keyIdIn(driver), 'transit/next:v1')
  for (const each of [old, first, seal]) await each.close()
})

test('a server that answers what it should not is refused in time, and no token follows it elsewhere', async (t) => {
  const seen: string[] = []
  let behave: RequestListener = () => undefined
  const server = createServer((request, response) => {
    seen.push(
      `${request.url} ${String(request.headers['x-vault-token'])} ${String(request.headers['x-vault-namespace'])}`,
    )
    behave(request, response)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const seal = await kind.open({
    address: `${address}/vault/`,
    token: 'tok',
    mount_path: '/a/b/',
    key_name: 'k',
    namespace: 'ns1/',
    disable_renewal: 'true',
  })
  const json = (body: unknown, status = 200) =>
    ((_, response) => response.writeHead(status).end(JSON.stringify(body))) as RequestListener
  const cases: [RequestListener, RegExp][] = [
    [json({ errors: ['it says tok'] }, 400), /^a\/b\/encrypt\/k: status 400: it says …$/],
    [json({}), /^encrypt: no ciphertext$/],
    [json({ data: { ciphertext: 7 } }), /^encrypt: no ciphertext$/],
    [json({ data: { ciphertext: 'other:v1:x' } }), /^encrypt: no ciphertext$/],
    [json([1]), /the answer is no JSON$/],
    [(_, response) => response.end('<html>tok'), /^a\/b\/encrypt\/k: the answer is no JSON$/],
    [(_, response) => response.end('x'.repeat(70_000)), /longer than 65536 bytes/],
    [(_, response) => response.writeHead(307, { location: `${address}/elsewhere` }).end(), /status 307: no error text/],
    [(request) => request.socket.destroy(), /socket hang up/],
  ]
  for (const [listener, reason] of cases) {
    behave = listener
    await assert.rejects(seal.wrap(Buffer.alloc(32)), (error: Error & { code?: string; reason?: string }) => {
      assert.equal(error.code, 'upstream_failed')
      assert.match(error.reason!, reason)
      assert.equal(error.message.includes(address), false)
      return true
    })
  }
  assert.deepEqual(new Set(seen), new Set(['/vault/v1/a/b/encrypt/k tok ns1']))
  // One that encrypts, and then decrypts to something else.
  behave = json({ data: { ciphertext: 'vault:v1:x', plaintext: Buffer.alloc(32, 1).toString('base64') } })
  await assert.rejects(wrapProven(seal, Buffer.alloc(32)), /does not give back the key it was given/)
})

test('options that cannot be used are told by their names', async () => {
  const good = { address: 'http://127.0.0.1:1', token: 'secret-token', mount_path: 'transit', key_name: 'k' }
  for (const [more, message] of [
    [{ address: '' }, /address is required \(or VAULT_ADDR\)/],
    [{ address: 'ftp://x' }, /address is no http or https address/],
    [{ address: 'http://user:secret-token@x' }, /address is a scheme, a host and a port/],
    [{ token: '' }, /token is required \(or VAULT_TOKEN\)/],
    [{ token: 'secret-token\nx' }, /token is not the text of a token/],
    [{ token: 'file:///gone' }, /token: the file cannot be read/],
    [{ mount_path: '../sys' }, /names as they stand in a path/],
    [{ key_name: 'a/b' }, /names as they stand in a path/],
    [{ key_name: 'a?b' }, /names as they stand in a path/],
    [{ tls_client_cert: 'x' }, /tls_client_cert and tls_client_key are given together/],
    [{ tls_ca_cert: '/gone' }, /tls_ca_cert: the file cannot be read/],
    [{ tls_skip_verify: 'maybe' }, /tls_skip_verify is true or false/],
    [{ tokn: 'secret-token' }, /unknown options: tokn/],
  ] as const) {
    await assert.rejects(kind.open({ ...good, ...more }), (error: Error) => {
      assert.match(error.message, message)
      assert.equal(error.message.includes('secret-token'), false)
      return true
    })
  }
})

test('a certificate of nobody known, or for another name, is refused, unless it is asked for', async () => {
  await using folder = await temporaryFolder()
  await using guard = await startGuard(folder.path)
  const { tls_ca_cert: _, ...unknown } = optionsFor(guard, folder.path)
  const wrap = async (options: Record<string, string>) => {
    const seal = await kind.open(options)
    await seal.wrap(Buffer.alloc(32))
    await seal.close!()
  }
  await assert.rejects(wrap(unknown), { reason: /unable to|self.signed|certificate/ })
  const misnamed = optionsFor(guard, folder.path, { tls_server_name: 'guard.example.com' })
  await assert.rejects(wrap(misnamed), { reason: /does not match|altnames/ })
  await wrap({ ...unknown, tls_skip_verify: 'true' })
  await wrap(optionsFor(guard, folder.path, { tls_server_name: 'localhost' }))
})
