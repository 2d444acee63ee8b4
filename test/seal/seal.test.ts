import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { Seal } from '#seal/seal.ts'
import { ApiError } from '#sdk/errors.ts'
import { meddled, memoryDriver, noOptions, TestClock } from './support.ts'

const clock = new TestClock()
const refusal = (message: string, code = 'invalid_request') => ({ name: 'ApiError', code, message })

async function shamirStore(shares: number, threshold: number) {
  const driver = await memoryDriver()
  const seal = await Seal.open(driver, { type: 'shamir' }, clock)
  return { driver, seal, ...(await seal.initialize({ ...noOptions, shares, threshold })) }
}

const invalidKeys = refusal(
  'unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: cipher: message authentication failed',
)

test('a store that is not initialized says so and takes no share', async () => {
  const seal = await Seal.open(await memoryDriver(), { type: 'shamir' }, clock)
  assert.deepEqual(seal.status(), {
    type: 'shamir',
    initialized: false,
    sealed: true,
    threshold: 0,
    shares: 0,
    progress: 0,
    nonce: '',
    migration: false,
    recoverySeal: false,
  })
  await assert.rejects(seal.submitShare(new Uint8Array(33)), refusal('Vault is not initialized'))
})

test('numbers of shares that make no sense are refused with the texts of the API', async () => {
  const seal = await Seal.open(await memoryDriver(), { type: 'shamir' }, clock)
  const cases: [number, number, string][] = [
    [0, 0, 'shares must be at least one'],
    [-1, 1, 'shares must be at least one'],
    [3, 0, 'threshold must be at least one'],
    [3, 1, 'threshold must be greater than one for multiple shares'],
    [256, 3, 'shares must be less than 256'],
    [2, 3, 'threshold cannot be larger than shares'],
    [2.5, 2, 'shares and threshold must be whole numbers'],
    [Number.NaN, 2, 'shares must be at least one'],
  ]
  for (const [shares, threshold, text] of cases) {
    const attempt = seal.initialize({ ...noOptions, shares, threshold })
    await assert.rejects(attempt, refusal(`invalid seal configuration: ${text}`), text)
  }
  const stored = seal.initialize({ ...noOptions, shares: 5, threshold: 3, storedShares: 5 })
  await assert.rejects(stored, refusal('invalid seal configuration: stored keys cannot be larger than 1'))
  const recovery = seal.initialize({ ...noOptions, shares: 5, threshold: 3, recoveryShares: 5, recoveryThreshold: 3 })
  await assert.rejects(
    recovery,
    refusal('parameters recovery_shares,recovery_threshold not applicable to seal type shamir'),
  )
  assert.equal(seal.status().initialized, false)
})

test('a store is initialized once, also by two servers at once', async () => {
  const driver = await memoryDriver()
  const [one, other] = [
    await Seal.open(driver, { type: 'shamir' }, clock),
    await Seal.open(driver, { type: 'shamir' }, clock),
  ]
  const options = { ...noOptions, shares: 1, threshold: 1 }
  const answers = await Promise.allSettled([one.initialize(options), other.initialize(options)])
  const winners = answers.filter((each) => each.status === 'fulfilled')
  assert.equal(winners.length, 1)
  const loser = answers.find((each) => each.status === 'rejected')
  assert.equal((loser!.reason as Error).message, 'Vault is already initialized')
  await assert.rejects(one.initialize(options), refusal('Vault is already initialized'))
  // Both know it now, and the winner's share opens the store on either.
  assert.equal(other.status().initialized, true)
  await other.submitShare(winners[0]!.value.shares[0]!)
  assert.equal(other.status().sealed, false)
})

test('every pair of three shares opens, and progress and nonce tell how far it is', async () => {
  const { driver, shares } = await shamirStore(3, 2)
  assert.deepEqual(
    shares.map((share) => share.length),
    [33, 33, 33],
  )
  for (const [first, second] of [
    [0, 1],
    [0, 2],
    [1, 0],
    [1, 2],
    [2, 0],
    [2, 1],
  ] as const) {
    const seal = await Seal.open(driver, { type: 'shamir' }, clock)
    const before = await seal.submitShare(shares[first]!)
    assert.equal(before.progress, 1)
    assert.match(before.nonce, /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
    assert.equal(before.sealed, true)
    const after = await seal.submitShare(shares[second]!)
    assert.deepEqual(
      { sealed: after.sealed, progress: after.progress, nonce: after.nonce, t: after.threshold, n: after.shares },
      { sealed: false, progress: 0, nonce: '', t: 2, n: 3 },
    )
    assert.notEqual(seal.barrier, undefined)
  }
})

test('the nonce stays for one attempt, and a share given twice counts once', async () => {
  const { seal, shares } = await shamirStore(5, 3)
  const first = await seal.submitShare(shares[0]!)
  const again = await seal.submitShare(Uint8Array.from(shares[0]!))
  assert.deepEqual(again, first)
  const second = await seal.submitShare(shares[1]!)
  assert.equal(second.progress, 2)
  assert.equal(second.nonce, first.nonce)
  const reset = await seal.resetUnseal()
  assert.deepEqual([reset.progress, reset.nonce, reset.sealed], [0, '', true])
  const anew = await seal.submitShare(shares[0]!)
  assert.equal(anew.progress, 1)
  assert.notEqual(anew.nonce, first.nonce)
})

test('shares that make no key end the attempt, and the right ones still open afterwards', async () => {
  const { seal, shares } = await shamirStore(3, 2)
  const { shares: foreign } = await shamirStore(3, 2)
  const wrong = Uint8Array.from(shares[1]!)
  wrong[7]! ^= 1
  const samePlace = Uint8Array.from(shares[0]!)
  samePlace[0]! ^= 1
  const strangers = foreign.find((share) => share[32] !== shares[0]![32])!
  const cases: [Uint8Array, object][] = [
    [wrong, invalidKeys],
    [strangers, invalidKeys],
    [samePlace, refusal('invalid key: failed to compute combined key: duplicate part detected')],
    [
      shares[1]!.subarray(0, 20),
      refusal('invalid key: failed to compute combined key: all parts must be the same length'),
    ],
  ]
  for (const [bad, text] of cases) {
    await seal.submitShare(shares[0]!)
    await assert.rejects(seal.submitShare(bad), text)
    assert.deepEqual([seal.status().progress, seal.status().nonce, seal.status().sealed], [0, '', true])
  }
  await assert.rejects(
    seal.submitShare(new Uint8Array(15)),
    refusal('invalid key: key is shorter than minimum 16 bytes'),
  )
  await assert.rejects(
    seal.submitShare(new Uint8Array(34)),
    refusal('invalid key: key is longer than maximum 33 bytes'),
  )
  assert.equal(seal.status().progress, 0)
  await seal.submitShare(shares[2]!)
  assert.equal((await seal.submitShare(shares[0]!)).sealed, false)
})

test('one share fewer than the threshold opens nothing', async () => {
  const { seal, shares } = await shamirStore(4, 4)
  for (const share of shares.slice(0, 3)) await seal.submitShare(share)
  assert.deepEqual([seal.status().sealed, seal.status().progress], [true, 3])
  assert.equal((await seal.submitShare(shares[3]!)).sealed, false)
})

test('255 shares of which 255 are needed open', async () => {
  const { seal, shares } = await shamirStore(255, 255)
  assert.equal(new Set(shares.map((share) => share[32])).size, 255)
  for (const share of shares) await seal.submitShare(share)
  assert.equal(seal.status().sealed, false)
})

test('a single share is the key itself; a wrong one is refused at once', async () => {
  const { seal, shares } = await shamirStore(1, 1)
  assert.equal(shares[0]!.length, 32)
  await assert.rejects(seal.submitShare(new Uint8Array(32)), invalidKeys)
  await assert.rejects(
    seal.submitShare(new Uint8Array(33)),
    refusal('invalid key: failed to setup unseal key: crypto/aes: invalid key size 33'),
  )
  assert.equal((await seal.submitShare(shares[0]!)).sealed, false)
})

test('shares sent all at once are tried one after the other', async () => {
  const { seal, shares } = await shamirStore(5, 3)
  const answers = await Promise.all(shares.map((share) => seal.submitShare(share)))
  assert.deepEqual(
    answers.map(({ sealed, progress }) => [sealed, progress]),
    [
      [true, 1],
      [true, 2],
      [false, 0],
      [false, 0],
      [false, 0],
    ],
  )
})

test('a share that comes while another one is being tried belongs to the next attempt', async () => {
  const { seal, shares } = await shamirStore(6, 3)
  const wrong = Uint8Array.from(shares[2]!)
  wrong[0]! ^= 1
  const order = [shares[0]!, shares[1]!, wrong, shares[3]!, shares[4]!, shares[5]!]
  const answers = await Promise.allSettled(order.map((share) => seal.submitShare(share)))
  assert.deepEqual(
    answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.progress : 'refused')),
    [1, 2, 'refused', 1, 2, 0],
  )
  assert.equal(seal.status().sealed, false)
})

test('no more shares wait for their turn than a server can bear', async () => {
  const { seal, shares } = await shamirStore(3, 3)
  const flood = Array.from({ length: 1000 }, () => seal.submitShare(shares[0]!))
  const refused = (await Promise.allSettled(flood)).filter((each) => each.status === 'rejected')
  assert.ok(refused.length > 500)
  assert.equal((refused[0]!.reason as ApiError).code, 'too_many_requests')
  assert.equal((await seal.submitShare(shares[1]!)).progress, 2)
})

test('sealing refuses at once, also what is under way, and the same shares open again', async () => {
  const { seal, shares } = await shamirStore(1, 1)
  await seal.submitShare(shares[0]!)
  const barrier = seal.barrier!
  const storage = barrier.storage('area/')
  await storage.put('a', 1)
  const underWay = storage.get('a')
  const sealing = seal.seal()
  const sealed = refusal('Vault is sealed', 'sealed')
  await assert.rejects(underWay, sealed)
  for (const call of [
    () => storage.get('a'),
    () => storage.getShared('a'),
    () => storage.list(''),
    () => storage.keys(''),
    () => storage.put('a', 2),
    () => storage.delete('a'),
    () => storage.update<number>('a', (value) => value),
    () => storage.transact(async (transaction) => transaction.get('a')),
    () => storage.below('b/').get('a'),
  ]) {
    await assert.rejects(call, sealed)
  }
  await sealing
  assert.deepEqual([seal.status().sealed, seal.barrier, seal.rootKey], [true, undefined, undefined])
  await seal.submitShare(shares[0]!)
  assert.equal(await seal.barrier!.storage('area/').get('a'), 1)
  await assert.rejects(storage.get('a'), sealed, 'a view of the old barrier stays closed')
})

test('a transaction that was begun before sealing writes nothing after it', async () => {
  const { seal, shares } = await shamirStore(1, 1)
  await seal.submitShare(shares[0]!)
  const storage = seal.barrier!.storage('area/')
  const late = storage.transact(async (transaction) => {
    transaction.put('late', 1)
    await seal.seal()
  })
  await assert.rejects(late, refusal('Vault is sealed', 'sealed'))
  await seal.submitShare(shares[0]!)
  assert.equal(await seal.barrier!.storage('area/').get('late'), undefined)
})

test('initializing is all or nothing, with what is set up beside it', async () => {
  const driver = await memoryDriver()
  const seal = await Seal.open(driver, { type: 'shamir' }, clock)
  const options = { ...noOptions, shares: 1, threshold: 1 }
  const attempt = seal.initialize(options, async (barrier, transaction) => {
    transaction.in(barrier.storage('core/')).put('root', 'token')
    throw new Error('the set-up failed')
  })
  await assert.rejects(attempt, { message: 'the set-up failed' })
  assert.deepEqual(await driver.list(''), [])
  assert.equal(seal.status().initialized, false)

  const broken = meddled(driver, {
    transact: async (change) =>
      await driver.transact(async (transaction) => {
        await change(transaction)
        throw new ApiError('storage_failed', 'disk full')
      }),
  })
  const unlucky = await Seal.open(broken, { type: 'shamir' }, clock)
  await assert.rejects(unlucky.initialize(options), { code: 'storage_failed' })
  assert.deepEqual(await driver.list(''), [])

  const { shares } = await seal.initialize(options, async (barrier, transaction) => {
    transaction.in(barrier.storage('core/')).put('root', 'token')
  })
  assert.equal(seal.status().sealed, true)
  await seal.submitShare(shares[0]!)
  assert.equal(await seal.barrier!.storage('core/').get('root'), 'token')
})

test('a store whose configuration was lost is not initialized over its keys', async () => {
  const { driver } = await shamirStore(1, 1)
  await driver.transact(async (transaction) => transaction.delete('seal/config'))
  const seal = await Seal.open(driver, { type: 'shamir' }, clock)
  await assert.rejects(seal.initialize({ ...noOptions, shares: 1, threshold: 1 }), { code: 'internal' })
  assert.deepEqual(await driver.list('seal/'), ['keyring', 'root-key'])
})

test('nothing that opens the store lies in it or in the entries beside the key ring in clear', async () => {
  const { driver, seal, shares } = await shamirStore(3, 2)
  await seal.submitShare(shares[0]!)
  await seal.submitShare(shares[1]!)
  const rootKey = seal.rootKey!.export()
  for (const { key, entry } of await driver.scan('seal/')) {
    const text = Buffer.from(entry.value)
    for (const secret of [rootKey, ...shares.map((share) => Buffer.from(share))]) {
      assert.equal(text.includes(secret) || text.includes(secret.toString('base64')), false, key)
    }
  }
})

test('static key: raw, hex and base64, from file, environment and text, open the same store', async (t) => {
  const directory = await mkdtemp(path.join(tmpdir(), 'seal-'))
  t.after(() => rm(directory, { recursive: true }))
  const key = Buffer.from(Array.from({ length: 32 }, (_, index) => index * 7))
  const file = (name: string) => path.join(directory, name)
  await writeFile(file('raw'), key)
  await writeFile(file('hex'), `${key.toString('hex')}\n`)
  process.env['SEAL_TEST_KEY'] = key.toString('base64')
  t.after(() => delete process.env['SEAL_TEST_KEY'])

  const driver = await memoryDriver()
  const open = (current_key: string) =>
    Seal.open(driver, { type: 'static', options: { current_key_id: 'k1', current_key } }, clock)
  const first = await open(`file://${file('raw')}`)
  assert.deepEqual(
    await first.initialize({ ...noOptions, recoveryShares: 3, recoveryThreshold: 2 }).then(Object.keys),
    ['shares', 'recoveryShares'],
  )
  for (const given of [
    `file://${file('raw')}`,
    `file://${file('hex')}`,
    'env://SEAL_TEST_KEY',
    key.toString('hex'),
    key.toString('base64'),
  ]) {
    const seal = await open(given)
    assert.deepEqual(await seal.unsealAutomatically(), {
      type: 'static',
      initialized: true,
      sealed: false,
      threshold: 2,
      shares: 3,
      progress: 0,
      nonce: '',
      migration: false,
      recoverySeal: true,
    })
  }
})

test('static key: what is wrong is said, and the store stays sealed', async () => {
  const driver = await memoryDriver()
  const hex = (byte: string) => byte.repeat(32)
  const open = (options: Record<string, string>) => Seal.open(driver, { type: 'static', options }, clock)
  const seal = await open({ current_key_id: 'k1', current_key: hex('a1') })
  await seal.initialize(noOptions)
  assert.deepEqual([seal.status().threshold, seal.status().shares], [0, 0])

  const wrong = await open({ current_key_id: 'k1', current_key: hex('b2') })
  await assert.rejects(wrong.unsealAutomatically(), /static.*"k1" does not open the root key/)
  assert.equal(wrong.barrier, undefined)
  const renamed = await open({ current_key_id: 'k2', current_key: hex('a1') })
  await assert.rejects(renamed.unsealAutomatically(), /sealed with key "k1"; the configuration has only "k2"/)
  await assert.rejects(
    open({ current_key_id: 'k1', current_key: 'env://SEAL_TEST_MISSING' }),
    /SEAL_TEST_MISSING is not set/,
  )
  await assert.rejects(open({ current_key_id: 'k1', current_key: 'a1' }), /current_key is not a key of 32 bytes/)
  await assert.rejects(
    open({ current_key_id: 'k1', current_key: 'file:///nowhere/key' }),
    /current_key: the file cannot/,
  )
  await assert.rejects(open({ current_key: hex('a1') }), /current_key_id and current_key are required/)
  await assert.rejects(open({ current_key_id: 'k', current_key: hex('a1'), curent: 'x' }), /unknown options: curent/)
  await assert.rejects(Seal.open(driver, { type: 'shamir' }, clock), /initialized with a seal of type static/)
  await assert.rejects(seal.submitShare(new Uint8Array(33)), /has no recovery key/)
  const asked = (await open({ current_key_id: 'k1', current_key: hex('a1') })).initialize({
    ...noOptions,
    shares: 5,
    threshold: 3,
  })
  await assert.rejects(asked, refusal('parameters secret_shares,secret_threshold not applicable to seal type static'))
})

test('static key: a new key takes over while the previous one is still configured', async () => {
  const driver = await memoryDriver()
  const [old, fresh] = ['a1'.repeat(32), 'b2'.repeat(32)]
  const open = (options: Record<string, string>) => Seal.open(driver, { type: 'static', options }, clock)
  const first = await open({ current_key_id: 'old', current_key: old })
  await first.initialize(noOptions)
  await first.unsealAutomatically()
  await first.barrier!.storage('x/').put('a', 'kept')
  const both = { current_key_id: 'new', current_key: fresh, previous_key_id: 'old', previous_key: old }
  const second = await open(both)
  await second.unsealAutomatically()
  assert.equal(second.trouble(), undefined)
  const third = await open({ current_key_id: 'new', current_key: fresh })
  await third.unsealAutomatically()
  assert.equal(await third.barrier!.storage('x/').get('a'), 'kept')
  await assert.rejects(
    (await open({ current_key_id: 'old', current_key: old })).unsealAutomatically(),
    /sealed with key "new"/,
  )
})

test('a server that unseals itself can be opened with recovery shares after somebody sealed it', async () => {
  const driver = await memoryDriver()
  const options = { current_key_id: 'k', current_key: 'c3'.repeat(32) }
  const seal = await Seal.open(driver, { type: 'static', options }, clock)
  const { shares, recoveryShares } = await seal.initialize({ ...noOptions, recoveryShares: 3, recoveryThreshold: 2 })
  assert.deepEqual([shares.length, recoveryShares.length], [0, 3])
  await seal.unsealAutomatically()
  await seal.seal()
  const wrong = Uint8Array.from(recoveryShares[1]!)
  wrong[0]! ^= 1
  await seal.submitShare(recoveryShares[0]!)
  await assert.rejects(
    seal.submitShare(wrong),
    refusal('invalid key: failed to verify recovery key: recovery key does not match submitted values'),
  )
  assert.equal(seal.status().sealed, true)
  await seal.submitShare(recoveryShares[2]!)
  assert.equal((await seal.submitShare(recoveryShares[0]!)).sealed, false)
})

test('whoever writes to the disk cannot put a recovery key of his own there', async () => {
  const [driver, theirs] = [await memoryDriver(), await memoryDriver()]
  const options = { current_key_id: 'k', current_key: 'c3'.repeat(32) }
  const init = { ...noOptions, recoveryShares: 1, recoveryThreshold: 1 }
  const seal = await Seal.open(driver, { type: 'static', options }, clock)
  await seal.initialize(init)
  const other = await Seal.open(theirs, { type: 'static', options }, clock)
  const { recoveryShares } = await other.initialize(init)
  const planted = (await theirs.get('seal/recovery-key'))!
  const tampered = meddled(driver, {
    get: (key) => (key === 'seal/recovery-key' ? Promise.resolve(planted) : driver.get(key)),
  })
  const attacked = await Seal.open(tampered, { type: 'static', options }, clock)
  await assert.rejects(attacked.submitShare(recoveryShares[0]!), { code: 'internal' })
  assert.equal(attacked.status().sealed, true)
})
