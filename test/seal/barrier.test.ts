import assert from 'node:assert/strict'
import test from 'node:test'
import { MAX_SHARED_VALUES, SharedValues } from '#seal/shared-values.ts'
import { meddled, memoryDriver, openStore, reopen } from './support.ts'

test('what is written is read back, whatever JSON it is (500 random values)', async () => {
  const { barrier } = await openStore()
  const storage = barrier.storage('area/')
  const random = generator(20_260_101)
  for (let run = 0; run < 500; run++) {
    const value = randomValue(random, 4)
    const key = `k/${run}/${randomText(random)}x`
    await storage.put(key, value)
    assert.deepEqual(await storage.get(key), value)
    assert.deepEqual(await storage.getShared(key), value)
    const seen = await storage.transact(async (transaction) => await transaction.get(key))
    assert.deepEqual(seen, value)
  }
  assert.equal((await storage.keys('k/')).length, 500)
})

test('a key named __proto__ is an ordinary one and changes no prototype', async () => {
  const { barrier } = await openStore()
  const storage = barrier.storage('area/')
  const value: unknown = JSON.parse('{"__proto__": {"admin": true}, "a": {"__proto__": [1]}}')
  await storage.put('v', value)
  for (const read of [await storage.get<object>('v'), await storage.getShared<object>('v')]) {
    assert.deepEqual(Object.keys(read!), ['__proto__', 'a'])
    assert.equal((read as { admin?: boolean }).admin, undefined)
    assert.equal(Object.getPrototypeOf(read), Object.prototype)
  }
  await storage.put('__proto__', 1)
  assert.equal(await storage.getShared('__proto__'), 1)
})

test('a value that is no JSON is refused and the entry stays', async () => {
  const { barrier } = await openStore()
  const storage = barrier.storage('area/')
  await storage.put('v', 1)
  await assert.rejects(storage.put('v', undefined), { code: 'internal' })
  await assert.rejects(
    storage.update('v', () => Symbol('x')),
    { code: 'internal' },
  )
  assert.equal(await storage.get('v'), 1)
})

test('null, false, 0 and the empty text are values, not absence', async () => {
  const { barrier } = await openStore()
  const storage = barrier.storage('area/')
  for (const value of [null, false, 0, '']) {
    await storage.put('v', value)
    assert.equal(await storage.get('v'), value)
    assert.equal(await storage.getShared('v'), value)
    assert.equal(await storage.getShared('v'), value, 'from the cache too')
  }
})

test('values and the text in them never reach the store in clear', async () => {
  const { barrier, driver } = await openStore()
  await barrier.storage('area/').put('v', { password: 'correct horse battery staple' })
  const entry = (await driver.get('area/v'))!
  assert.equal(Buffer.from(entry.value).includes('horse'), false)
  assert.equal(entry.value.length, JSON.stringify({ password: 'correct horse battery staple' }).length + 33)
})

test('the same value written twice looks different each time', async () => {
  const { barrier, driver } = await openStore()
  const storage = barrier.storage('area/')
  const seen = new Set<string>()
  for (let run = 0; run < 3000; run++) {
    await storage.put('v', 'same')
    seen.add(
      Buffer.from((await driver.get('area/v'))!.value)
        .subarray(5, 17)
        .toString('hex'),
    )
  }
  assert.equal(seen.size, 3000)
})

test('an area sees its own keys only, in order and by pages', async () => {
  const { barrier } = await openStore()
  const [one, other] = [barrier.storage('one/'), barrier.storage('one-more/')]
  for (const key of ['b/2', 'a', 'b/1', 'c/d/e']) await one.put(key, key)
  await other.put('z', 1)
  assert.deepEqual(await one.list(''), ['a', 'b/', 'c/'])
  assert.deepEqual(await one.list('', { after: 'a', limit: 1 }), ['b/'])
  assert.deepEqual(await one.keys(''), ['a', 'b/1', 'b/2', 'c/d/e'])
  assert.deepEqual(await one.keys('b/', { after: 'b/1' }), ['b/2'])
  assert.deepEqual(await one.below('b/').keys('', { after: '1' }), ['2'])
  assert.equal(await one.below('c/').below('d/').get('e'), 'c/d/e')
  await one.transact(async (transaction) => {
    transaction.put('b/3', 3)
    transaction.delete('a')
    assert.deepEqual(await transaction.list(''), ['b/', 'c/'])
    assert.deepEqual(await transaction.keys('b/', { limit: 2 }), ['b/1', 'b/2'])
  })
  assert.deepEqual(await one.list('b/'), ['1', '2', '3'])
})

test('no area reaches the entries of the seal', async () => {
  const { barrier } = await openStore()
  for (const prefix of ['', 'seal/', 'seal/x/', 'open'])
    assert.throws(() => barrier.storage(prefix), { code: 'internal' })
  assert.throws(() => barrier.storage('a/').below('b'), { code: 'internal' })
})

test('getShared decodes once, freezes through and through, and sees every change at once', async () => {
  const { barrier } = await openStore()
  const storage = barrier.storage('area/')
  interface Role {
    policies: string[]
    limits: { ttl: number }[]
  }
  await storage.put<Role>('role', { policies: ['a'], limits: [{ ttl: 1 }] })
  const first = (await storage.getShared<Role>('role'))!
  assert.equal(await storage.getShared('role'), first, 'the same object as long as the entry is the same')
  assert.throws(() => first.policies.push('root'), TypeError)
  assert.throws(() => (first.limits[0]!.ttl = 9), TypeError)
  for (let round = 2; round < 50; round++) {
    await storage.put<Role>('role', { policies: ['a'], limits: [{ ttl: round }] })
    assert.equal((await storage.getShared<Role>('role'))!.limits[0]!.ttl, round)
  }
  await storage.delete('role')
  assert.equal(await storage.getShared('role'), undefined)
  assert.equal(barrier.shared.size, 0, 'nor is it kept in memory')
  await storage.put<Role>('role', { policies: [], limits: [] })
  assert.deepEqual(await storage.getShared('role'), { policies: [], limits: [] })
  assert.notEqual(await storage.get('role'), await storage.get('role'), 'get gives everybody a copy of his own')
})

test('getShared serves what another barrier over the same store wrote', async () => {
  const opened = await openStore()
  const [mine, theirs] = [opened.barrier.storage('area/'), (await reopen(opened)).barrier!.storage('area/')]
  await mine.put('v', 1)
  assert.equal(await mine.getShared('v'), 1)
  await theirs.put('v', 2)
  assert.equal(await mine.getShared('v'), 2)
})

test('kept values are bounded by number and by size, and those in use stay', () => {
  const values = new SharedValues({ values: 100, bytes: 8000 })
  for (let index = 0; index < 1000; index++) {
    values.keep(`k${index}`, 1, index, 10)
    assert.equal(values.get('k0', 1)?.value, 0, 'read all the time')
  }
  assert.equal(values.size, 100)
  assert.equal(values.get('k1', 1), undefined)
  values.keep('huge', 1, 'x', 5000)
  assert.equal(values.get('huge', 1), undefined, 'nothing takes an eighth of the room')
  for (let index = 0; index < 50; index++) values.keep(`big${index}`, 1, index, 900)
  assert.ok(values.size <= 100)
  assert.ok([...Array(50).keys()].filter((index) => values.get(`big${index}`, 1)).length <= 8)
  values.keep('v', 2, 'new', 1)
  assert.equal(values.get('v', 1), undefined, 'another version is another value')
  assert.ok(MAX_SHARED_VALUES > 0)
})

test('update gives the value there is, and undefined deletes', async () => {
  const { barrier } = await openStore()
  const storage = barrier.storage('area/')
  await storage.update<number>('n', (value) => {
    assert.equal(value, undefined)
    return undefined
  })
  assert.deepEqual(await storage.keys(''), [])
  await storage.update<number>('n', (value = 0) => value + 1)
  assert.equal(await storage.get('n'), 1)
  await storage.update<number>('n', () => undefined)
  assert.equal(await storage.get('n'), undefined)
})

test('of a hundred updates of one entry at once, none is lost', async () => {
  const { barrier } = await openStore()
  const storage = barrier.storage('area/')
  await Promise.all(Array.from({ length: 100 }, () => storage.update<number>('n', (value = 0) => value + 1)))
  assert.equal(await storage.get('n'), 100)
})

test('one transaction changes several areas, or none of them', async () => {
  const { barrier } = await openStore()
  const [tokens, leases] = [barrier.storage('tokens/'), barrier.storage('leases/')]
  await tokens.transact(async (transaction) => {
    transaction.put('t', { id: 1 })
    const there = transaction.in(leases)
    there.put('l', { token: 't' })
    assert.deepEqual(await there.get('l'), { token: 't' })
    assert.equal(await transaction.get('l'), undefined)
    assert.deepEqual(await there.in(tokens).get('t'), { id: 1 })
  })
  assert.deepEqual([await tokens.get('t'), await leases.get('l')], [{ id: 1 }, { token: 't' }])

  const failing = tokens.transact(async (transaction) => {
    transaction.delete('t')
    transaction.in(leases).put('l', 'changed')
    transaction.in(leases).put('m', 'new')
    throw new Error('stop')
  })
  await assert.rejects(failing, { message: 'stop' })
  assert.deepEqual([await tokens.get('t'), await leases.get('l')], [{ id: 1 }, { token: 't' }])
  assert.deepEqual(await leases.keys(''), ['l'])
})

test('a transaction does not reach into another store', async () => {
  const [one, other] = [await openStore(), await openStore()]
  const work = one.barrier.storage('a/').transact(async (transaction) => {
    transaction.in(other.barrier.storage('a/')).put('v', 1)
  })
  await assert.rejects(work, { code: 'internal' })
  assert.deepEqual(await other.barrier.storage('a/').keys(''), [])
})

test('a change that runs again after a conflict is encrypted for the version it gets in the end', async () => {
  const { barrier } = await openStore()
  const storage = barrier.storage('area/')
  let runs = 0
  await storage.put('n', 1)
  await storage.transact(async (transaction) => {
    const value = (await transaction.get<number>('n'))!
    if (runs++ === 0) await storage.put('n', 10)
    transaction.put('n', value + 1)
  })
  assert.equal(runs, 2)
  assert.equal(await storage.get('n'), 11)
})

test('an entry that opens but is no JSON is refused without a word of it', async () => {
  const opened = await openStore()
  const storage = opened.barrier.storage('area/')
  await storage.put('v', 1)
  await opened.driver.transact(async (transaction) => {
    transaction.put('area/v', (version) => opened.barrier.encode('area/v', version, 'hunter2 {'))
  })
  await assert.rejects(storage.get('v'), (error: Error & { reason?: string }) => {
    assert.match(error.reason!, /"area\/v" opens but is no JSON/)
    assert.equal(`${error.message}${error.reason}${String(error.cause)}`.includes('hunter2'), false)
    return true
  })
})

test('what the driver refuses passes through as it is', async () => {
  const driver = await memoryDriver()
  const { barrier } = await openStore(meddled(driver, { list: () => Promise.reject(new Error('disk on fire')) }))
  await assert.rejects(barrier.storage('a/').list(''), { message: 'disk on fire' })
})

/** A small generator with a seed (mulberry32), so that a failing run can be run again. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

function randomText(random: () => number): string {
  const alphabet = ['a', 'Z', '0', ' ', '"', '\\', '\n', '\u0001', 'é', '漢', '🔐', '/', '\u2028', '__proto__']
  return Array.from({ length: Math.floor(random() * 12) }, () => alphabet[Math.floor(random() * alphabet.length)])
    .join('')
    .replaceAll('\u0000', '')
}

function randomValue(random: () => number, depth: number): unknown {
  const pick = Math.floor(random() * (depth > 0 ? 8 : 6))
  if (pick === 0) return null
  if (pick === 1) return random() < 0.5
  if (pick === 2) return (random() - 0.5) * 10 ** Math.floor(random() * 20)
  if (pick < 6) return randomText(random).repeat(Math.floor(random() * 20))
  const size = Math.floor(random() * 5)
  if (pick === 6) return Array.from({ length: size }, () => randomValue(random, depth - 1))
  return Object.fromEntries(Array.from({ length: size }, () => [randomText(random), randomValue(random, depth - 1)]))
}
