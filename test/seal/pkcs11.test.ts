/** `seal "pkcs11"` with the configuration of the how-to and a token in software. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createDecipheriv } from 'node:crypto'
import { copyFile, readdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import type { Driver } from '#sdk/storage.ts'
import { parseConfig } from '#boot/config.ts'
import { diagnoseSeal } from '#boot/diagnose-seal.ts'
import { Seal } from '#seal/seal.ts'
import { temporaryFolder } from '#test/config/program.ts'
import { assertUnspoken, example, serve } from './servers.ts'
import { importAes, importRsa, LIBRARY, makeToken, PIN } from './softhsm.ts'
import { memoryDriver, noOptions, TestClock } from './support.ts'

const recovery = { recovery_shares: 1, recovery_threshold: 1 }

/** Seals in this process find the token by this process's environment. */
async function withToken(folder: string): Promise<Record<string, string>> {
  const env = await makeToken(folder)
  Object.assign(process.env, env)
  return env
}

const options = { lib: LIBRARY, token_label: 'strongroom', pin: PIN, key_label: 'root', generate_key: 'true' }
const open = async (more: Record<string, string> = {}, driver?: Driver, clock = new TestClock()) =>
  await Seal.open(driver ?? (await memoryDriver()), { type: 'pkcs11', options: { ...options, ...more } }, clock)

test('a server makes its key in the token, and is unsealed by it at each start', async () => {
  await using folder = await temporaryFolder()
  const env = await makeToken(folder.path)
  await writeFile(path.join(folder.path, 'pin'), `${PIN}\n`, { mode: 0o600 })
  const config = example('pkcs11', folder.path)
  const first = await serve(folder.path, config, env)
  const made = (await first.send('PUT', 'sys/init', recovery)).body
  assert.equal((await first.status()).sealed, false)
  await first.send('POST', 'cubbyhole/a', { v: 1 }, made.root_token)
  await first.stop()
  const second = await serve(folder.path, config, env)
  await second.unsealed()
  assert.deepEqual((await second.send('GET', 'cubbyhole/a', undefined, made.root_token)).body.data, { v: 1 })
  assert.equal((await second.status()).type, 'pkcs11')
  await assertUnspoken(second, [PIN])
  await second.stop()

  // Another PIN in the file: refused once, and the server goes on, sealed, so that nobody restarts it over and over.
  await writeFile(path.join(folder.path, 'pin'), '99999')
  await using third = await serve(folder.path, config, env)
  await third.program.said(/is tried again: .*the token refuses the PIN, .*: unwrap: C_Login: CKR_PIN_INCORRECT/)
  assert.equal((await third.status()).sealed, true)
  await assertUnspoken(third, [PIN, '99999'])
})

test('a key of the token that went is told and not replaced', async () => {
  await using folder = await temporaryFolder()
  await withToken(folder.path)
  const [driver, clock] = [await memoryDriver(), new TestClock()]
  const seal = await open({}, driver, clock)
  await seal.initialize(noOptions)
  await seal.unsealAutomatically()
  const tokens = path.join(folder.path, 'tokens')
  const objects = (await readdir(tokens, { recursive: true })).filter(
    (each) => each.endsWith('.object') && !each.endsWith('token.object'),
  )
  assert.equal(objects.length, 1, 'one key was made')
  for (const each of objects) await copyFile(path.join(tokens, each), path.join(folder.path, 'kept'))
  for (const each of objects) await rm(path.join(tokens, each))
  clock.passSeconds(601)
  await assert.rejects(seal.check(), { code: 'upstream_failed', reason: 'wrap: the token has no key of this name' })
  assert.match(seal.trouble()!, /seal "pkcs11": the token refuses or cannot be asked/)
  const again = await open({}, driver)
  await assert.rejects(again.unsealAutomatically(), { reason: 'unwrap: the token has no key of this name' })
  for (const each of objects) await copyFile(path.join(folder.path, 'kept'), path.join(tokens, each))
  await again.unsealAutomatically()
})

test('another label in the configuration takes over, since the old one is known from the store', async () => {
  await using folder = await temporaryFolder()
  const env = await withToken(folder.path)
  await importRsa(env, folder.path, 'pair')
  const driver = await memoryDriver()
  const first = await open({}, driver)
  await first.initialize(noOptions)
  const rsa = { key_label: 'pair', rsa_oaep_hash: 'sha1', generate_key: 'false' }
  const second = await open(rsa, driver)
  await second.unsealAutomatically()
  assert.equal(second.trouble(), undefined)
  const stored = JSON.parse(Buffer.from((await driver.get('seal/root-key'))!.value).toString())
  assert.deepEqual(JSON.parse(stored.key_id), { label: 'pair', id: 'a1', mechanism: 'RSA_PKCS_OAEP' })
  const third = await open({ ...rsa, mechanism: '0x0009', key_id: '0xA1' }, driver)
  await third.unsealAutomatically()
})

test('what the token makes is AES-GCM of this form: IV, ciphertext, tag, bound to its purpose', async () => {
  await using folder = await temporaryFolder()
  const env = await withToken(folder.path)
  const key = await importAes(env, folder.path, 'known')
  const { kind } = await import('#seal/pkcs11/unseal.ts')
  const token = await kind.open({ ...options, key_label: 'known' })
  const { bytes } = await token.wrap(Buffer.from('a root key of thirty-two bytes..'))
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12))
  decipher.setAAD(Buffer.from('strongroom root key'))
  decipher.setAuthTag(bytes.subarray(-16))
  const plain = Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
  assert.equal(plain.toString(), 'a root key of thirty-two bytes..')
})

test('ciphertext that was changed does not open', async () => {
  await using folder = await temporaryFolder()
  await withToken(folder.path)
  const { kind } = await import('#seal/pkcs11/unseal.ts')
  const token = await kind.open(options)
  const wrapped = await token.wrap(Buffer.alloc(32, 7))
  assert.deepEqual(Buffer.from(await token.unwrap(wrapped)), Buffer.alloc(32, 7))
  for (const at of [0, 12, 20, wrapped.bytes.length - 1]) {
    const bytes = Uint8Array.from(wrapped.bytes)
    bytes[at]! ^= 1
    await assert.rejects(token.unwrap({ ...wrapped, bytes }), { code: 'upstream_failed', reason: /C_Decrypt: CKR_/ })
  }
  await assert.rejects(token.unwrap({ ...wrapped, keyId: 'vault:v1' }), /was not sealed by a token/)
})

test('a library that is none, or hangs, leaves the server as it is', async () => {
  await using folder = await temporaryFolder()
  await withToken(folder.path)
  for (const [lib, reason] of [
    ['/nonexistent.so', /wrap: .*nonexistent/],
    [path.join(process.cwd(), 'package.json'), /wrap: /],
  ] as const) {
    const seal = await open({ lib })
    await assert.rejects(seal.initialize(noOptions), (error: Error & { code?: string; reason?: string }) => {
      assert.equal(error.code, 'upstream_failed')
      assert.match(error.reason!, reason)
      assert.equal(`${error.message}${error.reason}`.includes(PIN), false)
      return true
    })
  }
  // Opening it waits for somebody who writes.
  const lib = path.join(folder.path, 'hangs.so')
  execFileSync('mkfifo', [lib])
  let ticks = 0
  const ticking = setInterval(() => (ticks += 1), 20)
  const startedAt = Date.now()
  await assert.rejects((await open({ lib })).initialize(noOptions), {
    reason: 'wrap: the process of the library ended by SIGKILL',
  })
  clearInterval(ticking)
  assert.ok(Date.now() - startedAt < 15_000, 'within its time')
  assert.ok(ticks > 100, `the server went on meanwhile: ${ticks} of its turns`)
})

test('a diagnosis makes no key, and says what the token said', async () => {
  await using folder = await temporaryFolder()
  const env = await withToken(folder.path)
  const stanza = Object.entries(options).map(([name, value]) => `  ${name} = "${value}"\n`)
  const listener = 'listener "tcp" {\n  address = "127.0.0.1:1"\n  tls_disable = true\n}\n'
  const config = parseConfig(`storage "inmem" {}\n${listener}seal "pkcs11" {\n${stanza.join('')}}\n`, 'c.hcl')
  const [missing] = await diagnoseSeal(config)
  assert.equal(missing!.status, 'fail')
  assert.match(missing!.message, /wrap: the token has no key of this name/)
  await importAes(env, folder.path, 'root')
  assert.deepEqual(
    (await diagnoseSeal(config)).map(({ status }) => status),
    ['ok'],
  )
})

test('a PIN that was refused is not tried again', async () => {
  await using folder = await temporaryFolder()
  await withToken(folder.path)
  const { kind } = await import('#seal/pkcs11/unseal.ts')
  const token = await kind.open({ ...options, pin: '99999' })
  const refused = {
    code: 'upstream_failed',
    reason: 'wrap: C_Login: CKR_PIN_INCORRECT',
    message: /PIN, which is not tried/,
  }
  await assert.rejects(token.wrap(Buffer.alloc(32)), refused)
  // No process is started for this: with another library it would fail otherwise.
  const startedAt = performance.now()
  await assert.rejects(token.wrap(Buffer.alloc(32)), refused)
  assert.ok(performance.now() - startedAt < 10)
})

test('options that cannot be used, a slot and a token that are not there', async () => {
  await using folder = await temporaryFolder()
  await withToken(folder.path)
  for (const [more, message] of [
    [{ lib: '' }, /lib is required \(or VAULT_HSM_LIB\)/],
    [{ token_label: '' }, /slot or token_label is required/],
    [{ slot: '0x1' }, /slot is a decimal number/],
    [{ pin: '' }, /pin is required/],
    [{ key_label: '' }, /key_label or key_id is required/],
    [{ key_id: 'xyz' }, /key_id is a hexadecimal number/],
    [{ mechanism: '0x1085' }, /mechanism is 0x1087/],
    [{ rsa_oaep_hash: 'md5' }, /rsa_oaep_hash is one of/],
    [{ generate_key: 'maybe' }, /generate_key is true or false/],
    [{ hmac_key_label: 'x' }, /unknown options: hmac_key_label/],
  ] as const) {
    await assert.rejects(open(more), message)
  }
  for (const [more, reason] of [
    [{ slot: '7' }, 'wrap: no token is in slot 7'],
    [{ token_label: 'other' }, 'wrap: no token has the label that is configured'],
    [{ generate_key: 'false' }, 'wrap: the token has no key of this name'],
  ] as const) {
    await assert.rejects((await open(more)).initialize(noOptions), { code: 'upstream_failed', reason })
  }
})
