/** New shares by the consent of those who hold the present ones: sys/rekey, and the same as sys/rotate. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test, { after } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Seal } from '#seal/seal.ts'
import { startServer, type TestServer } from '#test/server.ts'
import { startGpg } from './gpg.ts'
import { memoryDriver, noOptions, TestClock } from './support.ts'

const gpg = startGpg({ ann: 'future-default', bob: 'rsa3072' })
after(() => gpg[Symbol.dispose]())

const idle = {
  nonce: '',
  started: false,
  t: 0,
  n: 0,
  progress: 0,
  required: 2,
  pgp_fingerprints: null,
  backup: false,
  verification_required: false,
}

/** A server with three shares, of which two are needed, and one secret. */
async function threeShares(options: Parameters<typeof startServer>[0] = {}) {
  const server = await startServer({ ...options, ready: false })
  const { body } = await server.send('PUT', 'sys/init', { secret_shares: 3, secret_threshold: 2 })
  const keys: string[] = body.keys
  const token: string = body.root_token
  for (const key of keys.slice(0, 2)) await server.send('PUT', 'sys/unseal', { key })
  await server.write('sys/mounts/kv', { type: 'kv' }, token)
  await server.write('kv/secret', { v: 'kept' }, token)
  return { server, keys, token }
}

/** Whether these shares open the server after it was sealed. Leaves it open, by some shares of `good`. */
async function opens(server: TestServer, token: string, shares: readonly string[]): Promise<boolean> {
  await server.node.sealNow()
  let sealed = true
  for (const key of shares) sealed = (await server.send('PUT', 'sys/unseal', { key })).body?.sealed ?? true
  if (sealed) {
    await server.send('PUT', 'sys/unseal', { reset: true })
    return false
  }
  assert.equal((await server.read('kv/secret', token)).body.data.v, 'kept')
  return true
}

async function give(server: TestServer, where: string, shares: readonly string[], nonce: string) {
  let answer = await server.send('PUT', where, { key: shares[0], nonce }, { token: null })
  for (const key of shares.slice(1)) answer = await server.send('PUT', where, { key, nonce }, { token: null })
  return answer
}

const start = (server: TestServer, rest: object = {}) =>
  server.send('PUT', 'sys/rekey/init', { secret_shares: 4, secret_threshold: 3, ...rest }, { token: null })

test('enough present shares make new ones, which alone open the server from then on', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  assert.deepEqual((await server.read('sys/rekey/init', null)).body, idle)
  const { body: begun } = await start(server)
  assert.deepEqual(begun, { ...idle, nonce: begun.nonce, started: true, t: 3, n: 4 })
  const first = await give(server, 'sys/rekey/update', keys.slice(0, 1), begun.nonce)
  assert.deepEqual(first.body, { ...begun, progress: 1 })
  const { body: done, status } = await give(server, 'sys/rekey/update', keys.slice(2), begun.nonce)
  assert.equal(status, 200)
  assert.equal(done.keys.length, 4)
  assert.deepEqual(done, {
    nonce: begun.nonce,
    complete: true,
    keys: done.keys,
    keys_base64: done.keys.map((key: string) => Buffer.from(key, 'hex').toString('base64')),
    pgp_fingerprints: null,
    backup: false,
    verification_required: false,
  })
  assert.deepEqual((await server.read('sys/rekey/init', null)).body, { ...idle, required: 3 })
  // What was written before and after is there, without a seal in between.
  assert.equal((await server.read('kv/secret', token)).body.data.v, 'kept')
  assert.equal((await server.write('kv/after', { v: 1 }, token)).status, 204)
  assert.equal(await opens(server, token, keys), false)
  assert.equal(await opens(server, token, done.keys.slice(0, 2)), false)
  assert.equal(await opens(server, token, done.keys.slice(1)), true)
  assert.equal((await server.read('kv/after', token)).body.data.v, 1)
  const { t, n } = (await server.read('sys/seal-status')).body
  assert.deepEqual([t, n], [3, 4])
})

test('every refusal has the text of the API, and changes nothing', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  const refused = async (answer: Promise<{ status: number; body: any }>, message: RegExp) => {
    const { status, body } = await answer
    assert.equal(status, 400, JSON.stringify(body))
    assert.match(body.errors[0], message)
  }
  const put = (where: string, body: object) => server.send('PUT', where, body, { token: null })
  await refused(put('sys/rekey/update', { key: keys[0], nonce: 'x' }), /^no barrier rekey in progress$/)
  await refused(put('sys/rekey/verify', { key: keys[0], nonce: 'x' }), /^no rekey in progress$/)
  await refused(server.read('sys/rekey/verify', null), /^no rekey configuration found$/)
  await refused(start(server, { secret_shares: 0 }), /shares must be at least one$/)
  await refused(start(server, { secret_shares: 2 }), /threshold cannot be larger than shares$/)
  await refused(start(server, { secret_threshold: 1 }), /threshold must be greater than one for multiple shares$/)
  await refused(start(server, { backup: true }), /^cannot request a backup of the new keys without providing PGP keys/)
  await refused(start(server, { pgp_keys: [gpg.publicKey('ann')] }), /^incorrect number of PGP keys for rekey$/)
  const three = { secret_shares: 1, secret_threshold: 1, pgp_keys: ['AAAA'] }
  await refused(start(server, three), /^error parsing given PGP key/)
  assert.deepEqual((await server.read('sys/rekey/init', null)).body, idle)

  const { nonce } = (await start(server)).body
  await refused(start(server), /^rekey already in progress$/)
  await refused(put('sys/rekey/update', { nonce }), /^'key' must be specified in request body as JSON$/)
  await refused(put('sys/rekey/update', { key: 'no share', nonce }), /^'key' must be a valid hex or base64 string$/)
  await refused(put('sys/rekey/update', { key: 'abcd', nonce }), /key is shorter than minimum 16 bytes$/)
  await refused(put('sys/rekey/update', { key: 'ab'.repeat(34), nonce }), /key is longer than maximum 33 bytes$/)
  await refused(put('sys/rekey/update', { key: keys[0], nonce: 'x' }), new RegExp(`^incorrect nonce .*"${nonce}"$`))
  await refused(put('sys/rekey/update', { key: keys[0] }), /^incorrect nonce supplied/)
  await refused(put('sys/rekey/verify', { key: keys[0], nonce }), /^no rekey verification in progress$/)
  await refused(server.send('DELETE', 'sys/rekey/init?nonce=x', undefined, { token: null }), /^incorrect nonce/)
  assert.equal((await put('sys/rekey/update', { key: keys[0], nonce })).body.progress, 1)
  await refused(put('sys/rekey/update', { key: keys[0], nonce }), /^given key has already been provided/)
  assert.equal((await server.read('sys/rekey/init', null)).body.progress, 1)
  assert.equal((await server.send('DELETE', 'sys/rekey/init', undefined, { token: null })).status, 204)
  await refused(put('sys/rekey/update', { key: keys[1], nonce }), /^no barrier rekey in progress$/)
  await refused(put('sys/rekey-recovery-key/init', { secret_shares: 1, secret_threshold: 1 }), /^recovery rekeying not/)
  assert.equal(await opens(server, token, keys.slice(1)), true)
})

test('a wrong share spoils the attempt at its end, and the right ones may begin anew', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  const { nonce } = (await start(server)).body
  const wrong = Buffer.concat([randomBytes(32), Buffer.from([7])]).toString('hex')
  const { status, body } = await give(server, 'sys/rekey/update', [keys[0]!, wrong], nonce)
  assert.equal(status, 400)
  assert.match(body.errors[0], /cipher: message authentication failed$/)
  assert.equal((await server.read('sys/rekey/init', null)).body.progress, 0)
  const twins = [keys[0]!, keys[0]!.slice(0, -4) + `00${keys[0]!.slice(-2)}`]
  assert.match((await give(server, 'sys/rekey/update', twins, nonce)).body.errors[0], /duplicate part detected$/)
  const { body: done } = await give(server, 'sys/rekey/update', keys.slice(1), nonce)
  assert.equal(done.complete, true)
  assert.equal(await opens(server, token, done.keys.slice(1)), true)
})

test('with verification the old shares stay valid until enough of the new ones were given back', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  const { nonce } = (await start(server, { require_verification: true })).body
  const { body: made } = await give(server, 'sys/rekey/update', keys.slice(1), nonce)
  assert.equal(made.verification_required, true)
  const again = await server.send('PUT', 'sys/rekey/update', { key: keys[0], nonce })
  assert.match(again.body.errors[0], /^rekey operation already finished; verification must be performed; nonce for/)
  const status = (await server.read('sys/rekey/verify', null)).body
  assert.deepEqual(status, { nonce: made.verification_nonce, started: true, t: 3, n: 4, progress: 0 })
  assert.equal((await server.read('sys/rekey/init', null)).body.verification_nonce, made.verification_nonce)

  // Wrong ones: told, with a new nonce, and nothing has changed.
  const wrong = ['01', '02', '03'].map((x) => randomBytes(32).toString('hex') + x)
  const bad = (await give(server, 'sys/rekey/verify', wrong, made.verification_nonce)).body
  assert.deepEqual(bad, { nonce: bad.nonce, complete: false })
  assert.notEqual(bad.nonce, made.verification_nonce)
  const old = await server.send('PUT', 'sys/rekey/verify', { key: made.keys[0], nonce: made.verification_nonce })
  assert.match(old.body.errors[0], /^incorrect nonce supplied; nonce for this verify operation is/)

  await give(server, 'sys/rekey/verify', made.keys.slice(0, 1), bad.nonce)
  const twice = await server.send('PUT', 'sys/rekey/verify', { key: made.keys[0], nonce: bad.nonce })
  assert.match(twice.body.errors[0], /^given key has already been provided during this verify operation$/)
  const restarted = (await server.delete('sys/rekey/verify', null)).body
  assert.deepEqual(restarted, { nonce: restarted.nonce, started: true, t: 3, n: 4, progress: 0 })

  const last = (await give(server, 'sys/rekey/verify', made.keys.slice(0, 3), restarted.nonce)).body
  assert.deepEqual(last, { nonce: restarted.nonce, complete: true })
  assert.equal(await opens(server, token, keys), false)
  assert.equal(await opens(server, token, made.keys.slice(1)), true)
})

test('sealed before verification, or cancelled, a rekey leaves the old shares and no trace of the new', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  for (const end of ['seal', 'cancel']) {
    const { nonce } = (await start(server, { require_verification: true })).body
    const { body: made } = await give(server, 'sys/rekey/update', keys.slice(1), nonce)
    if (end === 'cancel') assert.equal((await server.delete('sys/rekey/init', null)).status, 204)
    assert.equal(await opens(server, token, made.keys), false)
    const late = await server.send('PUT', 'sys/rekey/verify', { key: made.keys[0], nonce: made.verification_nonce })
    assert.equal(late.status, 503)
    assert.equal(await opens(server, token, keys.slice(1)), true)
    assert.deepEqual((await server.read('sys/rekey/init', null)).body, idle, end)
  }
})

test('shares go to the holders of PGP keys, and a copy of them into the store if asked', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  const none = await server.read('sys/rekey/backup', token)
  assert.deepEqual([none.status, none.body.errors], [400, ['no backed-up keys found']])
  const names = ['ann', 'bob', 'ann']
  const prints = names.map((name) => gpg.fingerprint(name))
  const pgp = {
    secret_shares: 3,
    secret_threshold: 2,
    backup: true,
    pgp_keys: names.map((each) => gpg.publicKey(each)),
  }
  const { body: begun } = await start(server, pgp)
  assert.deepEqual([begun.pgp_fingerprints, begun.backup], [prints, true])
  const { body: done } = await give(server, 'sys/rekey/update', keys.slice(1), begun.nonce)
  assert.deepEqual([done.pgp_fingerprints, done.backup], [prints, true])
  const shares = done.keys.map((message: string) => gpg.decrypt(Buffer.from(message, 'hex')))

  assert.equal((await server.read('sys/rekey/backup', null)).status, 403)
  const { body: kept } = await server.read('sys/rekey/backup', token)
  assert.deepEqual(kept.data, {
    nonce: begun.nonce,
    keys: { [prints[0]!]: [done.keys[0], done.keys[2]], [prints[1]!]: [done.keys[1]] },
    keys_base64: { [prints[0]!]: [done.keys_base64[0], done.keys_base64[2]], [prints[1]!]: [done.keys_base64[1]] },
  })
  assert.deepEqual(kept.keys, kept.data.keys)
  assert.deepEqual((await server.read('sys/rotate/root/backup', token)).body.data, kept.data)
  assert.equal(await opens(server, token, keys), false)
  assert.equal(await opens(server, token, shares.slice(1)), true)
  assert.equal((await server.delete('sys/rekey/backup', token)).status, 204)
  assert.equal((await server.read('sys/rekey/backup', token)).status, 400)
})

test('a copy of shares that are not valid yet never takes the place of those that are', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  const pgp = { secret_shares: 1, secret_threshold: 1, backup: true, pgp_keys: [gpg.publicKey('ann')] }
  const rekey = async (present: readonly string[], rest: object) => {
    const { nonce } = (await start(server, { ...pgp, ...rest })).body
    return (await give(server, 'sys/rekey/update', present, nonce)).body
  }
  const valid = await rekey(keys.slice(1), {})
  const share = gpg.decrypt(Buffer.from(valid.keys[0], 'hex'))
  const pending = await rekey([share], { require_verification: true })
  const copy = async () => Object.values((await server.read('sys/rekey/backup', token)).body.data.keys)
  assert.deepEqual(await copy(), [pending.keys])
  await server.delete('sys/rekey/init', null)
  assert.deepEqual(await copy(), [valid.keys])
  const last = await rekey([share], { require_verification: true })
  await give(server, 'sys/rekey/verify', [gpg.decrypt(Buffer.from(last.keys[0], 'hex'))], last.verification_nonce)
  assert.deepEqual(await copy(), [last.keys])
})

test('sys/rotate/root is the same with a token and an envelope', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  assert.equal((await server.read('sys/rotate/root/init', null)).status, 403)
  const body = { secret_shares: 2, secret_threshold: 2, require_verification: true }
  assert.equal((await server.write('sys/rotate/root/init', body, null)).status, 403)
  const begun = (await server.write('sys/rotate/root/init', body, token)).body
  assert.match(begun.request_id, /-/)
  const { nonce } = begun.data
  assert.deepEqual((await server.read('sys/rotate/root/init', token)).body.data, begun.data)
  await server.write('sys/rotate/root/update', { key: keys[0], nonce }, token)
  const { data } = (await server.write('sys/rotate/root/update', { key: keys[1], nonce }, token)).body
  assert.equal(data.complete, true)
  const verify = (key: string) => server.write('sys/rotate/root/verify', { key, nonce: data.verification_nonce }, token)
  assert.equal((await verify(data.keys[0])).body.data.progress, 1)
  assert.equal((await server.read('sys/rotate/root/verify', token)).body.data.progress, 1)
  assert.equal((await verify(data.keys[1])).body.data.complete, true)
  assert.equal(await opens(server, token, keys), false)
  assert.equal(await opens(server, token, data.keys), true)
})

test('POST sys/rotate/root changes the root key alone, for tokens with sudo', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  await server.write('sys/policies/acl/weak', { policy: 'path "sys/rotate/root" { capabilities = ["update"] }' }, token)
  const weak = (await server.write('auth/token/create', { policies: ['weak'] }, token)).body.auth.client_token
  assert.equal((await server.write('sys/rotate/root', {}, weak)).status, 403)
  const before = server.node.seal.rootKey!
  assert.equal((await server.write('sys/rotate/root', {}, token)).status, 204)
  assert.equal(server.node.seal.rootKey!.equals(before), false)
  assert.equal((await server.write('kv/after', { v: 1 }, token)).status, 204)
  assert.equal(await opens(server, token, keys.slice(1)), true)
  assert.equal((await server.write('sys/rotate', {}, token)).status, 204)
})

test('with disable_unauthed_rekey_endpoints rekeying asks for a token first', async () => {
  const { server, keys, token } = await threeShares({ unauthedRekey: false })
  await using _ = server
  for (const where of ['sys/rekey/init', 'sys/rekey/verify', 'sys/rekey-recovery-key/init']) {
    assert.equal((await server.read(where, null)).status, 403, where)
  }
  assert.equal((await start(server)).status, 403)
  assert.equal((await server.delete('sys/rekey/init', null)).status, 403)
  const { nonce } = (await server.write('sys/rekey/init', { secret_shares: 1, secret_threshold: 1 }, token)).body
  assert.equal((await server.write('sys/rekey/update', { key: keys[0], nonce }, null)).status, 403)
  assert.equal((await server.read('sys/rekey/init', token)).body.progress, 0)
})

test('many at once: a share counts once, and one rekey is made', async () => {
  const { server, keys, token } = await threeShares()
  await using _ = server
  const starts = await Promise.all(Array.from({ length: 10 }, () => start(server)))
  assert.equal(starts.filter(({ status }) => status === 200).length, 1)
  const { nonce } = starts.find(({ status }) => status === 200)!.body
  const updates = await Promise.all(
    Array.from({ length: 12 }, (_, at) => server.send('PUT', 'sys/rekey/update', { key: keys[at % 3], nonce })),
  )
  const done = updates.filter(({ body }) => body.complete)
  assert.equal(done.length, 1)
  assert.equal(await opens(server, token, done[0]!.body.keys.slice(1)), true)
})

test('writes under way while the root key changes all succeed', async () => {
  const { server, token } = await threeShares()
  await using _ = server
  let going = true
  let written = 0
  const writers = Array.from({ length: 4 }, async (_, who) => {
    for (; going; written++) assert.equal((await server.write(`kv/w${who}`, { v: written }, token)).status, 204)
  })
  // Rotations rewrite the ring under the root key too: the two must not cross.
  for (let round = 0; round < 10; round++) {
    const answers = await Promise.all([
      server.write('sys/rotate/root', {}, token),
      server.write('sys/rotate', {}, token),
    ])
    assert.deepEqual(
      answers.map(({ status }) => status),
      [204, 204],
    )
  }
  going = false
  await Promise.all(writers)
  assert.ok(written > 10)
  assert.equal(server.node.seal.trouble(), undefined)
})

test('nothing of a rekey stands in the ledger but hashes, and it tells who did not log in', async () => {
  const { server, keys } = await threeShares()
  await using _ = server
  const { nonce } = (await start(server)).body
  const { body: done } = await give(server, 'sys/rekey/update', keys.slice(1), nonce)
  const trail = await server.trail()
  const text = JSON.stringify(trail)
  for (const share of [...keys, ...done.keys, ...done.keys_base64]) assert.ok(!text.includes(share))
  const lines = trail.filter(({ request }) => request.path === 'sys/rekey/update')
  assert.equal(lines.length, 4)
  assert.match(lines.at(-1).response.data.keys[0], /^hmac-sha256:/)
})

test('new shares are told even if the ledger fails after they were made', async () => {
  const { server, keys, token } = await threeShares({ storage: 'sqlite' })
  await using _ = server
  const { nonce } = (await start(server)).body
  await give(server, 'sys/rekey/update', keys.slice(0, 1), nonce)
  const { audit } = server.node.core
  const record = audit.record.bind(audit)
  audit.record = async (event) => {
    if (event.type === 'response') throw new Error('the disk is gone')
    await record(event)
  }
  const { status, body: done } = await give(server, 'sys/rekey/update', keys.slice(1, 2), nonce)
  audit.record = record
  assert.equal(status, 200)
  assert.equal(await opens(server, token, done.keys.slice(1)), true)
})

test('of two that begin while their PGP keys are looked at, one does', async () => {
  const seal = await Seal.open(await memoryDriver(), { type: 'shamir' }, new TestClock())
  const { shares } = await seal.initialize({ ...noOptions, shares: 1, threshold: 1 })
  await seal.submitShare(shares[0]!)
  const { barrier, rootGeneration } = seal.keys
  const pgpKey = gpg.publicKey('ann')
  const options = { shares: 1, threshold: 1, pgpKeys: [pgpKey], backup: false, requireVerification: false }
  for (const start of [() => barrier.start(options), () => rootGeneration.start({ otp: '', pgpKey })]) {
    const answers = await Promise.allSettled([start(), start()])
    assert.deepEqual(answers.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    const { reason } = answers.find((each) => each.status === 'rejected')!
    assert.match(reason.message, /already in progress$/)
  }
  await seal.seal()
  await assert.rejects(barrier.start(options), { code: 'sealed' })
})

test('sealed while new shares are being made, nothing of them is there when the store is opened again', async () => {
  const seal = await Seal.open(await memoryDriver(), { type: 'shamir' }, new TestClock())
  const { shares } = await seal.initialize({ ...noOptions, shares: 1, threshold: 1 })
  await seal.submitShare(shares[0]!)
  const { barrier } = seal.keys
  const pgpKeys = [gpg.publicKey('ann')]
  await barrier.start({ shares: 1, threshold: 1, pgpKeys, backup: true, requireVerification: true })
  const making = barrier.submit(shares[0]!, barrier.status().nonce)
  // Encrypting them goes to another thread, so this comes before it ends.
  await Promise.all([assert.rejects(making, { code: 'sealed' }), setImmediate().then(() => seal.seal())])
  await seal.submitShare(shares[0]!)
  assert.equal(barrier.status().started, false)
  assert.equal(await barrier.readBackup(), undefined)
})

test('a store that cannot commit keeps the old shares, and the rekey can be finished later', async () => {
  const driver = await memoryDriver()
  const seal = await Seal.open(driver, { type: 'shamir' }, new TestClock())
  const { shares } = await seal.initialize({ ...noOptions, shares: 1, threshold: 1 })
  await seal.submitShare(shares[0]!)
  const options = { shares: 1, threshold: 1, pgpKeys: [], backup: false, requireVerification: false }
  await seal.keys.barrier.start(options)
  const { nonce } = seal.keys.barrier.status()
  const transact = driver.transact.bind(driver)
  // Refused before the commit; and committed, but with the news of it lost.
  driver.transact = async () => Promise.reject(new Error('disk full'))
  await assert.rejects(seal.keys.barrier.submit(shares[0]!, nonce), /disk full/)
  const storage = seal.barrier!.storage('area/')
  driver.transact = async (change) => {
    await transact(change)
    throw new Error('connection lost')
  }
  const made = await seal.keys.barrier.submit(shares[0]!, nonce)
  driver.transact = transact
  await storage.put('v', 1)
  await seal.keyRing!.rotate()
  const again = await Seal.open(driver, { type: 'shamir' }, new TestClock())
  await assert.rejects(again.submitShare(shares[0]!), { code: 'invalid_request' })
  await again.submitShare(made!.keys[0]!)
  assert.equal(await again.barrier!.storage('area/').get('v'), 1)
})

test('after a restart the new numbers count, also where the ring was rotated before the commit was heard of', async () => {
  const driver = await memoryDriver()
  const seal = await Seal.open(driver, { type: 'shamir' }, new TestClock())
  const { shares } = await seal.initialize({ ...noOptions, shares: 1, threshold: 1 })
  await seal.submitShare(shares[0]!)
  await seal.keys.barrier.start({ shares: 4, threshold: 3, pgpKeys: [], backup: false, requireVerification: false })
  const transact = driver.transact.bind(driver)
  driver.transact = async (change) => {
    const result = await transact(change)
    driver.transact = transact
    await seal.keyRing!.rotate()
    return result
  }
  const made = await seal.keys.barrier.submit(shares[0]!, seal.keys.barrier.status().nonce)
  await seal.barrier!.storage('area/').put('v', 1)
  const again = await Seal.open(driver, { type: 'shamir' }, new TestClock())
  const { threshold, shares: count } = again.status()
  assert.deepEqual([threshold, count], [3, 4])
  for (const key of made!.keys.slice(1)) await again.submitShare(key)
  assert.equal(again.keyRing!.status().term, 2)
  assert.equal(await again.barrier!.storage('area/').get('v'), 1)
})

test('old shares open nothing, not even with an old copy of what they opened', async () => {
  const driver = await memoryDriver()
  const seal = await Seal.open(driver, { type: 'shamir' }, new TestClock())
  const { shares } = await seal.initialize({ ...noOptions, shares: 1, threshold: 1 })
  await seal.submitShare(shares[0]!)
  const old = (await driver.get('seal/root-key'))!
  await seal.keys.barrier.start({ shares: 1, threshold: 1, pgpKeys: [], backup: false, requireVerification: false })
  await seal.keys.barrier.submit(shares[0]!, seal.keys.barrier.status().nonce)
  await driver.transact(async (transaction) => transaction.put('seal/root-key', () => old.value))
  const thief = await Seal.open(driver, { type: 'shamir' }, new TestClock())
  await assert.rejects(thief.submitShare(shares[0]!), { code: 'internal' })
  assert.equal(thief.status().sealed, true)
})
