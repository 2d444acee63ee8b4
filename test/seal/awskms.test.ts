/** `seal "awskms"` with the configuration of the how-to, the vendor's SDK and a stand-in for the service. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { Seal } from '#seal/seal.ts'
import { root, runShell } from '#test/cli/harness.ts'
import { temporaryFolder } from '#test/config/program.ts'
import { memoryDriver, noOptions, sqliteDriver, TestClock } from './support.ts'
import { startMoto } from './moto.ts'
import { assertUnspoken, example, serve, startGate } from './servers.ts'

const secrets = ['wJalrXUtnFEMIbPxRfiCYEXAMPLEKEY', 'FwoGZXIvYXdzEXAMPLESESSIONTOKEN']
const variables = (port: number) => ({
  AWS_KMS_ENDPOINT: `http://127.0.0.1:${port}`,
  AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
  AWS_SECRET_ACCESS_KEY: secrets[0]!,
  AWS_SESSION_TOKEN: secrets[1]!,
  // Nothing of this machine's own settings, and no search for the role of a machine that has none.
  AWS_CONFIG_FILE: '/nonexistent',
  AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
  AWS_EC2_METADATA_DISABLED: 'true',
})
const recovery = { recovery_shares: 3, recovery_threshold: 2 }

async function keyIdIn(folder: string): Promise<string> {
  const driver = await sqliteDriver(`${folder}/data`)
  try {
    return JSON.parse(Buffer.from((await driver.get('seal/root-key'))!.value).toString()).key_id
  } finally {
    await driver.close()
  }
}

test('a server is unsealed by a key of the service at each start, and takes the key that the alias points to now', async () => {
  await using moto = await startMoto()
  await using folder = await temporaryFolder()
  const config = example('awskms', folder.path)
  const env = variables(moto.port)
  const first = await serve(folder.path, config, env)
  const made = (await first.send('PUT', 'sys/init', recovery)).body
  assert.deepEqual([made.keys, made.recovery_keys.length], [[], 3])
  const { type, sealed, recovery_seal, t, n } = await first.status()
  assert.deepEqual([type, sealed, recovery_seal, t, n], ['awskms', false, true, 2, 3])
  await first.send('POST', 'cubbyhole/a', { v: 1 }, made.root_token)
  await first.stop()
  assert.equal(await keyIdIn(folder.path), moto.first.Arn)

  const second = await moto.makeKey()
  await moto.pointAliasTo(second.KeyId!)
  const again = await serve(folder.path, config, env)
  await again.unsealed()
  assert.deepEqual((await again.send('GET', 'cubbyhole/a', undefined, made.root_token)).body.data, { v: 1 })
  await again.stop()
  assert.equal(await keyIdIn(folder.path), second.Arn)

  const third = await serve(folder.path, config, env)
  await third.unsealed()
  // Sealed by hand, it stays sealed until people open it.
  assert.equal((await third.send('PUT', 'sys/seal', {}, made.root_token)).status, 204)
  for (const key of made.recovery_keys_base64.slice(0, 2)) await third.send('PUT', 'sys/unseal', { key })
  await third.unsealed()
  await assertUnspoken(third, [...secrets, ...made.recovery_keys_base64, made.root_token])
  await third.stop()
})

test('while the service is down, refuses or says nothing, the server is sealed, tells it and tries again', async () => {
  await using moto = await startMoto()
  await using gate = await startGate(moto.port)
  await using folder = await temporaryFolder()
  const config = example('awskms', folder.path)
  const env = variables(gate.port)
  const first = await serve(folder.path, config, env)
  await first.send('PUT', 'sys/init', recovery)
  await first.stop()
  const issue = 'auto-unseal fails: see the server log'

  await gate.shut()
  await using server = await serve(folder.path, config, env)
  const health = await server.send('GET', 'sys/health')
  assert.deepEqual([health.status, health.body.sealed, health.body.issues], [503, true, [issue]])
  await server.program.said(/auto-unseal fails and is tried again: .*Decrypt: .*ECONNREFUSED/)
  await gate.open()
  await server.unsealed()
  assert.equal((await server.send('GET', 'sys/health')).body.issues, undefined)
  await server.stop()

  await moto.checkCredentials(true)
  await using refused = await serve(folder.path, config, env)
  await refused.program.said(/auto-unseal fails and is tried again: .*Decrypt: \w+ \(403\)/)
  await moto.checkCredentials(false)
  await refused.unsealed()
  await assertUnspoken(refused, secrets)
  await refused.stop()

  gate.silence()
  const startedAt = Date.now()
  await using waiting = await serve(folder.path, config, env)
  assert.ok(Date.now() - startedAt < 9000, 'it listens before the time of the call is over')
  assert.equal((await waiting.status()).sealed, true)
  await waiting.program.said(/auto-unseal fails and is tried again: .*Decrypt: Timeout/)
  await gate.open()
  await waiting.unsealed()
})

test('a key that fails while the server runs is noticed before the next start', async () => {
  await using moto = await startMoto()
  await using gate = await startGate(moto.port)
  const clock = new TestClock()
  const options = {
    region: 'eu-central-1',
    kms_key_id: moto.first.KeyId!,
    endpoint: `http://127.0.0.1:${gate.port}`,
    access_key: 'AKIAIOSFODNN7EXAMPLE',
    secret_key: secrets[0]!,
  }
  const seal = await Seal.open(await memoryDriver(), { type: 'awskms', options }, clock)
  await seal.initialize(noOptions)
  await seal.unsealAutomatically()
  await gate.shut()
  await seal.check()
  assert.equal(seal.trouble(), undefined, 'not tried before it is due')
  clock.passSeconds(601)
  await assert.rejects(seal.check(), { code: 'upstream_failed' })
  assert.equal(seal.trouble(), 'auto-unseal: seal "awskms": the key service refuses or cannot be reached')
  assert.equal(seal.status().sealed, false)
  await gate.open()
  clock.passSeconds(61)
  await seal.check()
  assert.equal(seal.trouble(), undefined)
  await seal.close()
})

test('people move a store from shares to the service, with the command line', async () => {
  await using moto = await startMoto()
  await using folder = await temporaryFolder()
  const env = variables(moto.port)
  const first = await serve(folder.path, '')
  const made = (await first.send('PUT', 'sys/init', { secret_shares: 3, secret_threshold: 2 })).body
  for (const key of made.keys_base64.slice(0, 2)) await first.send('PUT', 'sys/unseal', { key })
  await first.send('POST', 'cubbyhole/a', { v: 1 }, made.root_token)
  await first.stop()

  const second = await serve(folder.path, example('awskms', folder.path), env)
  assert.deepEqual([(await second.status()).migration, (await second.status()).sealed], [true, true])
  await second.program.said(/entering seal migration mode/)
  const plain = await second.send('PUT', 'sys/unseal', { key: made.keys_base64[0] })
  assert.deepEqual(
    [plain.status, plain.body],
    [500, { errors: ['migrate option not provided and seal migration is pending'] }],
  )
  const cli = async (words: string, input = '') =>
    await runShell(
      `${root}/bin/strongroom ${words}`,
      folder.path,
      { PATH: process.env['PATH'], HOME: folder.path, STRONGROOM_ADDR: `http://127.0.0.1:${second.port}` },
      input,
    )
  const before = await cli('status')
  assert.match(before.stdout, /Seal Type\s+awskms\n(.*\n)*Seal Migration in Progress\s+true/)
  for (const key of made.keys_base64.slice(1)) {
    const { code, stderr } = await cli('operator unseal -migrate -', key)
    assert.equal(code, 0, stderr)
  }
  const after = await cli('status')
  assert.match(after.stdout, /Sealed\s+false/)
  assert.doesNotMatch(after.stdout, /Migration/)
  assert.deepEqual((await second.send('GET', 'cubbyhole/a', undefined, made.root_token)).body.data, { v: 1 })
  // The unseal keys of before are the recovery keys now: they make a root token.
  const { nonce } = (await second.send('PUT', 'sys/generate-root/attempt', {})).body
  await second.send('PUT', 'sys/generate-root/update', { key: made.keys_base64[0], nonce })
  const generated = await second.send('PUT', 'sys/generate-root/update', { key: made.keys_base64[1], nonce })
  assert.deepEqual([generated.status, generated.body.complete], [200, true])
  await assertUnspoken(second, [...secrets, ...made.keys_base64, made.root_token])
  await second.stop()

  const third = await serve(folder.path, example('awskms', folder.path), env)
  await third.unsealed()
  await third.stop()
})

test('a store goes from a static key to the service as the how-to says', async () => {
  await using moto = await startMoto()
  await using folder = await temporaryFolder()
  await writeFile(path.join(folder.path, 'unseal.key'), randomBytes(32))
  const first = await serve(folder.path, example('static', folder.path))
  const { recovery_keys_base64: keys } = (await first.send('PUT', 'sys/init', recovery)).body
  await first.stop()
  const env = variables(moto.port)
  const second = await serve(folder.path, example('migration', folder.path), env)
  assert.deepEqual([(await second.status()).type, (await second.status()).migration], ['awskms', true])
  for (const key of keys.slice(1)) await second.send('PUT', 'sys/unseal', { key, migrate: true })
  await second.unsealed()
  assert.equal((await second.status()).migration, false)
  await second.stop()
  await rm(path.join(folder.path, 'unseal.key'))
  const third = await serve(folder.path, example('migration', folder.path), env)
  await third.unsealed()
  await third.stop()
})

test('an installation without the package says which one is missing', async () => {
  await using folder = await temporaryFolder()
  const place = (name: string) => path.join(folder.path, name)
  for (const name of ['bin', 'src', 'package.json']) await cp(name, place(name), { recursive: true })
  await mkdir(place('node_modules'))
  for (const name of (await readdir('node_modules')).filter((each) => each !== '@aws-sdk' && each !== '.cache')) {
    await symlink(path.resolve('node_modules', name), path.join(place('node_modules'), name))
  }
  const config = `storage "inmem" {}\nlistener "unix" { address = "s" }\nseal "awskms" {\n kms_key_id = "k"\n}\n`
  await writeFile(place('config.hcl'), config)
  const run = spawnSync(place('bin/strongroom'), ['server', '-config=config.hcl'], {
    cwd: folder.path,
    timeout: 60_000,
  })
  assert.equal(run.status, 1)
  assert.match(
    String(run.stderr),
    /^strongroom: seal "awskms": the optional package @aws-sdk\/client-kms is not installed$/m,
  )
})

test('what cannot be used is told by its name, and the server does not start', async () => {
  await using folder = await temporaryFolder()
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = variables(1)
  for (const [text, message] of [
    ['seal "awskms" {}', /seal "awskms": kms_key_id is required \(or VAULT_AWSKMS_SEAL_KEY_ID\)/],
    [
      `seal "awskms" {\n kms_key_id = "k"\n access_key = "${AWS_ACCESS_KEY_ID}"\n}`,
      /access_key and secret_key are given together/,
    ],
    [`seal "awskms" {\n kms_key_id = "k"\n secrt_key = "${AWS_SECRET_ACCESS_KEY}"\n}`, /unknown options: secrt_key/],
    [
      'seal "awskms" {\n kms_key_id = "k"\n access_key = "file:///gone"\n secret_key = "x"\n}',
      /access_key: the file cannot be read/,
    ],
  ] as const) {
    const refused = serve(folder.path, text)
    await assert.rejects(refused, (error: Error) => {
      assert.match(error.message, message)
      assert.equal(error.message.includes(AWS_SECRET_ACCESS_KEY), false)
      return true
    })
  }
})
