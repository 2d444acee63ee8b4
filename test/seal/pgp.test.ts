/** What is encrypted to PGP keys opens with GnuPG, and only there. */
import assert from 'node:assert/strict'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import test, { after } from 'node:test'
import { encryptEach, MAX_PGP_KEY_BYTES, readPgpKeys } from '#seal/pgp/keys.ts'
import { startServer } from '#test/server.ts'
import { startGpg } from './gpg.ts'

const gpg = startGpg({ ann: 'future-default', bob: 'rsa3072', eve: 'future-default', signer: 'ed25519/sign' })
const stranger = startGpg({ eve: 'future-default' })
after(() => {
  gpg[Symbol.dispose]()
  stranger[Symbol.dispose]()
})

const refusal = (message: RegExp) => ({ name: 'ApiError', code: 'invalid_request', message })

test('GnuPG opens what was encrypted to its keys, of curves and of RSA, and nobody else does', async () => {
  const text = Buffer.from('not for everybody')
  for (const name of ['ann', 'bob']) {
    const [key] = await readPgpKeys([gpg.publicKey(name)])
    assert.equal(key!.fingerprint, gpg.fingerprint(name))
    const message = Buffer.from((await encryptEach([key!], [text]))[0]!)
    assert.ok(!message.includes(text))
    assert.equal(gpg.decrypt(message), text.toString())
    assert.throws(() => stranger.decrypt(message), /No secret key/)
  }
})

test('what is no public key, or cannot encrypt, is refused before anything is done', async () => {
  await assert.rejects(readPgpKeys(['-----BEGIN']), refusal(/^error decoding given PGP key/))
  await assert.rejects(readPgpKeys(['']), refusal(/^error decoding given PGP key/))
  await assert.rejects(readPgpKeys(['AAAA']), refusal(/^error parsing given PGP key/))
  await assert.rejects(readPgpKeys([gpg.publicKey('ann').slice(0, 100)]), refusal(/^error parsing given PGP key/))
  await assert.rejects(readPgpKeys([gpg.secretKey('ann')]), refusal(/it is a private key/))
  await assert.rejects(readPgpKeys([gpg.publicKey('signer')]), refusal(/cannot encrypt/))
  const large = Buffer.alloc(MAX_PGP_KEY_BYTES + 3).toString('base64')
  await assert.rejects(readPgpKeys([large]), refusal(/it has more than/))
})

test('keys that take long to look at keep nobody from the server, and many at once are refused', async () => {
  for (let at = 0; at < 40; at++) gpg.run(['--quick-add-uid', 'eve', `eve${at} <eve${at}@example.com>`])
  const slow = Array.from({ length: 30 }, () => gpg.publicKey('eve'))
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const startedAt = performance.now()
  const reading = readPgpKeys(slow)
  const beside = [readPgpKeys([gpg.publicKey('ann')]), readPgpKeys([gpg.publicKey('ann')])]
  const answers = await Promise.allSettled(beside)
  assert.deepEqual(answers.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  const { reason } = answers.find((each) => each.status === 'rejected')!
  assert.equal(reason.code, 'too_many_requests')
  assert.equal((await reading).length, 30)
  delay.disable()
  const [tookMs, longestMs] = [performance.now() - startedAt, delay.max / 1e6]
  assert.ok(longestMs < tookMs / 3, `of ${tookMs} ms the thread of the requests stood still for ${longestMs}`)
})

test('an initialisation tells shares and the first token to the holders of PGP keys alone', async () => {
  await using server = await startServer({ ready: false })
  const names = ['ann', 'bob', 'ann']
  const { status, body } = await server.send('PUT', 'sys/init', {
    secret_shares: 3,
    secret_threshold: 2,
    pgp_keys: names.map((name) => gpg.publicKey(name)),
    root_token_pgp_key: gpg.publicKey('eve'),
  })
  assert.equal(status, 200)
  assert.deepEqual(
    body.keys.map((text: string) => Buffer.from(text, 'hex').toString('base64')),
    body.keys_base64,
  )
  const shares = body.keys.map((text: string) => gpg.decrypt(Buffer.from(text, 'hex')))
  for (const share of shares) assert.match(share, /^[0-9a-f]{66}$/)
  await server.send('PUT', 'sys/unseal', { key: shares[0] })
  const { body: open } = await server.send('PUT', 'sys/unseal', { key: shares[2] })
  assert.equal(open.sealed, false)
  const token = gpg.decrypt(Buffer.from(body.root_token, 'base64'))
  assert.match(token, /^hvs\.[0-9A-Za-z]{24}$/)
  const self = await server.read('auth/token/lookup-self', token)
  assert.deepEqual(self.body.data.policies, ['root'])
})

test('an initialisation with keys that do not fit makes nothing', async () => {
  await using server = await startServer({ ready: false })
  const init = (rest: object) => server.send('PUT', 'sys/init', { secret_shares: 2, secret_threshold: 2, ...rest })
  const [ann, signer] = [gpg.publicKey('ann'), gpg.publicKey('signer')]
  const cases: [object, RegExp][] = [
    [{ pgp_keys: [ann] }, /^invalid seal configuration: count mismatch between number of provided PGP keys/],
    [{ pgp_keys: [ann, 'AAAA'] }, /^error parsing given PGP key/],
    [{ pgp_keys: [ann, signer] }, /cannot encrypt/],
    [{ root_token_pgp_key: signer }, /cannot encrypt/],
    [{ recovery_pgp_keys: [ann] }, /^parameters recovery_pgp_keys not applicable to seal type shamir/],
  ]
  for (const [rest, message] of cases) {
    const { status, body } = await init(rest)
    assert.equal(status, 400)
    assert.match(body.errors[0], message)
  }
  assert.equal((await server.read('sys/init')).body.initialized, false)
  assert.equal((await init({})).status, 200)
})
