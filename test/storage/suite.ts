/**
 * What every storage driver must do, as one suite over all of them. Nothing here knows which driver it tests.
 *
 * Races are staged: changes wait for each other at agreed places, so that what is tested happens in every run.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ApiError, type ErrorCode } from '#sdk/errors.ts'
import type { Driver, Entry, Reads, Transaction } from '#sdk/storage.ts'

export interface Opened {
  driver: Driver
  /** Close and open again over the same data; absent where data do not outlive the driver. */
  reopen?: () => Promise<Driver>
  dispose(): Promise<void>
}

type Use = (driver: Driver, opened: Opened) => Promise<void>

export function storageSuite(name: string, open: () => Promise<Opened>): void {
  const check: Check = (claim, use) => {
    void test(claim, { timeout: 60_000 }, async () => {
      const opened = await open()
      try {
        await use(opened.driver, opened)
      } finally {
        await opened.dispose()
      }
    })
  }
  void describe(`storage ${name}`, () => {
    entries(check)
    order(check)
    levels(check)
    scans(check)
    ownWrites(check)
    conflicts(check)
    commits(check)
    versions(check)
    limits(check)
    models(check)
  })
}

type Check = (claim: string, use: Use) => void

function entries(check: Check): void {
  check('a key that is not there is undefined, before and after it was', async (driver) => {
    assert.equal(await driver.get('a'), undefined)
    await write(driver, { a: 'one' })
    assert.equal(textOf(await driver.get('a')), 'one')
    await driver.transact(async (transaction) => transaction.delete('a'))
    assert.equal(await driver.get('a'), undefined)
  })

  check('bytes come back as they went in, none and all 256 of them', async (driver) => {
    const all = Uint8Array.from({ length: 256 }, (_, index) => index)
    await driver.transact(async (transaction) => {
      transaction.put('all', () => all)
      transaction.put('none', () => new Uint8Array(0))
      // A view into a larger buffer: only what it shows is the value.
      transaction.put('view', () => Buffer.from(all.buffer, 10, 3))
    })
    assert.deepEqual(bytesOf(await driver.get('all')), [...all])
    assert.deepEqual(bytesOf(await driver.get('none')), [])
    assert.deepEqual(bytesOf(await driver.get('view')), [10, 11, 12])
  })

  check('getMany gives entries in the order asked, with holes and repetitions', async (driver) => {
    await write(driver, { a: '1', b: '2' })
    const found = await driver.getMany(['b', 'missing', 'a', 'b'])
    assert.deepEqual(found.map(textOf), ['2', undefined, '1', '2'])
    assert.deepEqual(await driver.getMany([]), [])
  })

  check('transact gives what the change gives', async (driver) => {
    assert.equal(await driver.transact(async () => 42), 42)
  })

  check('deleting what is not there is no error', async (driver) => {
    await driver.transact(async (transaction) => transaction.delete('nowhere'))
    assert.deepEqual(await driver.list(''), [])
  })
}

/** In the order of UTF-8 bytes. UTF-16, which JavaScript compares, has the last two the other way around. */
const inOrder = [
  '\u0001',
  ' ',
  '!',
  '-',
  '.',
  '0',
  '9',
  'A',
  'Z',
  '_',
  'a',
  'aa',
  'b',
  'z',
  '~',
  '\u007f',
  'ß',
  'é',
  'ω',
  '€',
  '\ud7ff',
  '\ue000',
  '\uffff',
  '\u{10000}',
  '\u{1f511}',
  '\u{10ffff}',
]

function order(check: Check): void {
  check('keys are ordered by their UTF-8 bytes, in listings and scans', async (driver) => {
    assert.deepEqual(
      inOrder,
      inOrder.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
      'the test is right',
    )
    await write(driver, Object.fromEntries(inOrder.toReversed().map((key) => [key, key])))
    assert.deepEqual(await driver.list(''), inOrder)
    assert.deepEqual(await scannedKeys(driver, ''), inOrder)
    assert.deepEqual(await driver.keys(''), inOrder)
    for (const [index, after] of inOrder.entries()) {
      assert.deepEqual(await driver.list('', { after, limit: 2 }), inOrder.slice(index + 1, index + 3))
      assert.deepEqual(await scannedKeys(driver, '', { after, limit: 2 }), inOrder.slice(index + 1, index + 3))
      assert.deepEqual(await driver.keys('', { after, limit: 2 }), inOrder.slice(index + 1, index + 3))
    }
  })

  check('own writes take their place in that order', async (driver) => {
    const stored = inOrder.filter((_, index) => index % 2 === 0)
    await write(driver, Object.fromEntries(stored.map((key) => [`p/${key}`, key])))
    await driver.transact(async (transaction) => {
      for (const key of inOrder) transaction.put(`p/${key}`, () => Buffer.from(key))
      assert.deepEqual(await transaction.list('p/'), inOrder)
      assert.deepEqual(
        await scannedKeys(transaction, 'p/'),
        inOrder.map((key) => `p/${key}`),
      )
      assert.deepEqual(
        await transaction.keys('p/'),
        inOrder.map((key) => `p/${key}`),
      )
    })
  })
}

function levels(check: Check): void {
  const tree = ['a', 'a!', 'a/', 'a/b', 'a/b/c', 'a/c', 'a0', 'b/x/y/z', 'c']

  check('a listing shows one level: entries, and folders once', async (driver) => {
    await write(driver, Object.fromEntries(tree.map((key) => [key, key])))
    assert.deepEqual(await driver.list(''), ['a', 'a!', 'a/', 'a0', 'b/', 'c'])
    assert.deepEqual(await driver.list('a/'), ['b', 'b/', 'c'])
    assert.deepEqual(await driver.list('a/b/'), ['c'])
    assert.deepEqual(await driver.list('b/'), ['x/'])
    assert.deepEqual(await driver.list('b/x/y/'), ['z'])
    assert.deepEqual(await driver.list('nowhere/'), [])
    assert.deepEqual(await driver.list('c/'), [])
  })

  check('pages of any size put together are the whole listing', async (driver) => {
    await write(driver, Object.fromEntries(tree.map((key) => [`t/${key}`, key])))
    const whole = await driver.list('t/')
    for (const limit of [1, 2, 3, 5, 100]) {
      const pages: string[] = []
      for (let after: string | undefined; ; after = pages.at(-1)) {
        const page = await driver.list('t/', { after, limit })
        assert.ok(page.length <= limit)
        if (page.length === 0) break
        pages.push(...page)
      }
      assert.deepEqual(pages, whole, `limit ${limit}`)
    }
    assert.deepEqual(await driver.list('t/', { limit: 0 }), [])
  })

  check('after may be what is no entry', async (driver) => {
    await write(driver, Object.fromEntries(tree.map((key) => [key, key])))
    assert.deepEqual(await driver.list('', { after: '' }), await driver.list(''))
    assert.deepEqual(await driver.list('', { after: 'a"' }), ['a/', 'a0', 'b/', 'c'])
    assert.deepEqual(await driver.list('', { after: 'a/b' }), ['a0', 'b/', 'c'])
    assert.deepEqual(await driver.list('', { after: 'b' }), ['b/', 'c'])
    assert.deepEqual(await driver.list('', { after: 'z' }), [])
  })

  check('folders larger than any chunk are listed once, and what follows them is there', async (driver) => {
    const keys = [
      ...inFolder('big/one', 3000),
      ...inFolder('big/two', 40),
      'big/two0',
      ...inFolder('big/three', 1500),
      'bih',
    ]
    await write(driver, Object.fromEntries(keys.map((key) => [key, ''])))
    assert.deepEqual(await driver.list('big/'), ['one/', 'three/', 'two/', 'two0'])
    assert.deepEqual(await driver.list(''), ['big/', 'bih'])
    assert.deepEqual(await driver.list('big/', { after: 'one/', limit: 1 }), ['three/'])
    assert.equal((await driver.list('big/one/')).length, 3000)
    assert.deepEqual(
      await driver.list('big/one/', { after: '001999', limit: 1001 }),
      inFolder('big/one', 3000)
        .slice(2000)
        .map((key) => key.slice('big/one/'.length)),
    )
  })
}

function scans(check: Check): void {
  const tree = ['s', 's/', 's/a', 's/a/b', 's/b', 's0', 't/x']

  check('a scan gives everything below the prefix, with its values and versions', async (driver) => {
    await write(driver, Object.fromEntries(tree.map((key) => [key, `value of ${key}`])))
    const found = await driver.scan('s/')
    assert.deepEqual(
      found.map(({ key, entry }) => [key, textOf(entry)]),
      ['s/a', 's/a/b', 's/b'].map((key) => [key, `value of ${key}`]),
    )
    for (const { key, entry } of found) assert.equal(entry.version, (await driver.get(key))?.version)
    assert.deepEqual(await scannedKeys(driver, ''), tree)
    assert.deepEqual(await driver.keys('s/'), ['s/a', 's/a/b', 's/b'])
    assert.deepEqual(await driver.keys(''), tree)
  })

  check('pages of a scan put together are the whole scan', async (driver) => {
    const keys = [...inFolder('p/a', 30), ...inFolder('p/b', 30)]
    await write(driver, Object.fromEntries(keys.map((key) => [key, ''])))
    for (const read of [scannedKeys, onlyKeys]) {
      for (const limit of [1, 7, 60, 61]) {
        const pages: string[] = []
        for (let after: string | undefined; ; after = pages.at(-1)) {
          const page = await read(driver, 'p/', { after, limit })
          if (page.length === 0) break
          pages.push(...page)
        }
        assert.deepEqual(pages, keys)
      }
      assert.deepEqual(await read(driver, 'p/', { after: 'a' }), keys, 'after a key before the prefix')
      assert.deepEqual(await read(driver, 'p/', { after: 'q' }), [], 'after a key behind the prefix')
      assert.deepEqual(await read(driver, 'p/', { limit: 0 }), [])
    }
  })
}

function ownWrites(check: Check): void {
  check('a change sees its own writes in get, list, scan and keys; nobody else does before it ends', async (driver) => {
    await write(driver, { 'd/a': 'old a', 'd/b': 'old b', 'd/sub/only': 'x', 'e/z': 'z' })
    await driver.transact(async (transaction) => {
      transaction.put('d/a', () => Buffer.from('new a'))
      transaction.put('d/c/deep', () => Buffer.from('new c'))
      transaction.delete('d/b')
      transaction.delete('d/sub/only')
      assert.equal(textOf(await transaction.get('d/a')), 'new a')
      assert.equal(await transaction.get('d/b'), undefined)
      assert.deepEqual(await transaction.list('d/'), ['a', 'c/'])
      assert.deepEqual(await transaction.list('d/', { limit: 1 }), ['a'])
      assert.deepEqual(await transaction.list('d/', { after: 'a' }), ['c/'])
      assert.deepEqual(await transaction.list('d/sub/'), [])
      assert.deepEqual(await transaction.list(''), ['d/', 'e/'])
      assert.deepEqual(
        (await transaction.scan('d/')).map(({ key, entry }) => [key, textOf(entry)]),
        [
          ['d/a', 'new a'],
          ['d/c/deep', 'new c'],
        ],
      )
      for (const read of [scannedKeys, onlyKeys]) {
        assert.deepEqual(await read(transaction, ''), ['d/a', 'd/c/deep', 'e/z'])
        assert.deepEqual(await read(transaction, '', { limit: 2 }), ['d/a', 'd/c/deep'])
        assert.deepEqual(await read(transaction, '', { limit: 2, after: 'd/a' }), ['d/c/deep', 'e/z'])
      }
      assert.equal(textOf(await driver.get('d/a')), 'old a', 'outside')
      assert.deepEqual(await driver.list('d/'), ['a', 'b', 'sub/'], 'outside')
    })
    assert.equal(textOf(await driver.get('d/a')), 'new a')
    assert.deepEqual(await driver.list('d/'), ['a', 'c/'])
  })

  check('a page under many own deletes is still full', async (driver) => {
    const keys = inFolder('m', 3000)
    await write(driver, Object.fromEntries(keys.map((key) => [key, ''])))
    await driver.transact(async (transaction) => {
      for (const key of keys.slice(0, 2500)) transaction.delete(key)
      const names = keys.slice(2500, 2510).map((key) => key.slice(2))
      assert.deepEqual(await transaction.list('m/', { limit: 10 }), names)
      assert.deepEqual(await scannedKeys(transaction, 'm/', { limit: 10 }), keys.slice(2500, 2510))
      assert.deepEqual(await transaction.keys('m/', { limit: 10 }), keys.slice(2500, 2510))
    })
    assert.equal((await driver.list('m/')).length, 500)
  })

  check('the last of several writes to one key counts', async (driver) => {
    await driver.transact(async (transaction) => {
      transaction.put('k', () => Buffer.from('1'))
      transaction.delete('k')
      transaction.put('k', () => Buffer.from('2'))
      transaction.put('gone', () => Buffer.from('1'))
      transaction.delete('gone')
    })
    assert.equal(textOf(await driver.get('k')), '2')
    assert.equal(await driver.get('gone'), undefined)
  })

  check('a transaction cannot be used after its end', async (driver) => {
    const kept = await driver.transact(async (transaction) => transaction)
    await assert.rejects(kept.get('a'), ApiError)
    assert.throws(() => kept.put('a', () => Buffer.from('1')), ApiError)
    assert.throws(() => kept.delete('a'), ApiError)
    assert.equal(await driver.get('a'), undefined)
  })
}

function conflicts(check: Check): void {
  check('of 200 increments at once, none is lost', async (driver) => {
    await Promise.all(Array.from({ length: 200 }, () => driver.transact((transaction) => increment(transaction, 'n'))))
    assert.equal(textOf(await driver.get('n')), '200')
  })

  check('an increment that read before another one committed runs again', async (driver) => {
    await raced(
      driver,
      (transaction) => increment(transaction, 'n'),
      (transaction) => increment(transaction, 'n'),
    )
    assert.equal(textOf(await driver.get('n')), '2')
  })

  check('write skew: of two changes that each leave the other one on call, one runs again', async (driver) => {
    await write(driver, { 'call/ann': 'on', 'call/bob': 'on' })
    const leave = (who: string) => async (transaction: Transaction) => {
      const both = [await transaction.get('call/ann'), await transaction.get('call/bob')].map(textOf)
      if (both.every((each) => each === 'on')) transaction.put(`call/${who}`, () => Buffer.from('off'))
    }
    await raced(driver, leave('ann'), leave('bob'))
    assert.deepEqual((await driver.getMany(['call/ann', 'call/bob'])).map((entry) => textOf(entry) ?? '').toSorted(), [
      'off',
      'on',
    ])
  })

  check('a phantom in a listing makes the change run again', async (driver) => {
    const add = (name: string) => async (transaction: Transaction) => {
      const count = (await transaction.list('slot/')).length
      if (count < 1) transaction.put(`slot/${name}`, () => Buffer.from(name))
    }
    await raced(driver, add('one'), add('two'))
    assert.deepEqual(await driver.list('slot/'), ['two'])
  })

  check('a phantom in a listing under own writes makes the change run again', async (driver) => {
    const add = (name: string) => async (transaction: Transaction) => {
      transaction.put(`slot/${name}`, () => Buffer.from(name))
      const count = (await transaction.list('slot/')).length
      if (count > 1) transaction.delete(`slot/${name}`)
    }
    await raced(driver, add('one'), add('two'))
    assert.deepEqual(await driver.list('slot/'), ['two'])
  })

  check('an entry that left a listing or a folder that went makes the change run again', async (driver) => {
    await write(driver, { 'in/a': '1', 'in/f/b': '1' })
    const copy = async (transaction: Transaction) => {
      const names = (await transaction.list('in/')).join()
      transaction.put('names', () => Buffer.from(names))
    }
    await raced(driver, copy, async (transaction) => transaction.delete('in/a'))
    assert.equal(textOf(await driver.get('names')), 'f/')
    await raced(driver, copy, async (transaction) => transaction.delete('in/f/b'))
    assert.equal(textOf(await driver.get('names')), '')
  })

  check('a phantom or a change in a scan makes the change run again', async (driver) => {
    await write(driver, { 'sum/a': '1', 'sum/deep/b': '2' })
    const total = async (transaction: Transaction) => {
      const found = await transaction.scan('sum/')
      const sum = found.reduce((all, { entry }) => all + Number(textOf(entry)), 0)
      transaction.put('total', () => Buffer.from(String(sum)))
    }
    const put = (key: string, text: string) => async (transaction: Transaction) =>
      transaction.put(key, () => Buffer.from(text))
    await raced(driver, total, put('sum/deep/c', '10'))
    assert.equal(textOf(await driver.get('total')), '13')
    await raced(driver, total, put('sum/a', '5'))
    assert.equal(textOf(await driver.get('total')), '17')
  })

  check('a key that came or went below a prefix makes a change that read its keys run again', async (driver) => {
    await write(driver, { 'set/a': '1', 'set/deep/b': '2' })
    let runs = 0
    const copy = async (transaction: Transaction) => {
      runs += 1
      const keys = (await transaction.keys('set/')).join()
      transaction.put('copy', () => Buffer.from(keys))
    }
    const added = async (transaction: Transaction) => transaction.put('set/deep/c', () => Buffer.from('3'))
    await raced(driver, copy, added)
    assert.equal(textOf(await driver.get('copy')), 'set/a,set/deep/b,set/deep/c')
    await raced(driver, copy, async (transaction) => transaction.delete('set/a'))
    assert.equal(textOf(await driver.get('copy')), 'set/deep/b,set/deep/c')
    const own = async (transaction: Transaction) => {
      transaction.put('set/own', () => Buffer.from('4'))
      await copy(transaction)
    }
    await raced(driver, own, async (transaction) => transaction.delete('set/deep/b'))
    assert.equal(textOf(await driver.get('copy')), 'set/deep/c,set/own')
    assert.equal(runs, 6)
  })

  check('a change that read only keys does not mind new values of them', async (driver) => {
    await write(driver, { 'set/a': '1', 'set/b': '1' })
    let runs = 0
    await raced(
      driver,
      async (transaction) => {
        runs += 1
        const count = (await transaction.keys('set/')).length
        transaction.put('count', () => Buffer.from(String(count)))
      },
      (transaction) => increment(transaction, 'set/a'),
    )
    assert.equal(runs, 1)
    assert.equal(textOf(await driver.get('count')), '2')
  })

  check('a key that was deleted and made again with the same bytes is another one', async (driver) => {
    await write(driver, { ticket: 'x' })
    let runs = 0
    await raced(
      driver,
      async (transaction) => {
        runs += 1
        const version = (await transaction.get('ticket'))?.version
        transaction.put('seen', () => Buffer.from(String(version)))
      },
      async () => {
        await driver.transact(async (transaction) => transaction.delete('ticket'))
        await write(driver, { ticket: 'x' })
      },
    )
    assert.equal(runs, 2)
    assert.equal(textOf(await driver.get('seen')), String((await driver.get('ticket'))?.version))
  })

  check('a change that only reads sees one moment', async (driver) => {
    await write(driver, { left: '0', right: '0' })
    const pair = await raced(
      driver,
      async (transaction, pause) => {
        const left = textOf(await transaction.get('left'))
        await pause()
        return [left, textOf(await transaction.get('right'))]
      },
      async (transaction) => {
        transaction.put('left', () => Buffer.from('1'))
        transaction.put('right', () => Buffer.from('1'))
      },
    )
    assert.deepEqual(pair, ['1', '1'])
  })

  check('what a change throws over two moments is not believed', async (driver) => {
    await write(driver, { left: '0', right: '0' })
    let torn = 0
    await raced(
      driver,
      async (transaction, pause) => {
        const left = textOf(await transaction.get('left'))
        await pause()
        if (left === textOf(await transaction.get('right'))) return
        torn += 1
        throw new Error('left and right differ')
      },
      async (transaction) => {
        transaction.put('left', () => Buffer.from('1'))
        transaction.put('right', () => Buffer.from('1'))
      },
    )
    assert.ok(torn <= 1)
  })

  check('changes of different keys do not disturb each other', async (driver) => {
    let runs = 0
    await raced(
      driver,
      async (transaction) => {
        runs += 1
        await increment(transaction, 'mine')
      },
      (transaction) => increment(transaction, 'other'),
    )
    assert.equal(runs, 1)
  })

  check('a change that always loses ends with storage_failed', async (driver) => {
    let runs = 0
    const losing = driver.transact(async (transaction) => {
      runs += 1
      assert.ok(runs < 1000, 'the tries are bounded')
      await increment(transaction, 'n')
      await driver.transact((other) => increment(other, 'n'))
    })
    await refuses(losing, 'storage_failed')
    assert.equal(textOf(await driver.get('n')), String(runs))
  })
}

function commits(check: Check): void {
  check(
    'the moment changes with every commit before it is acknowledged, and not by reading or failing',
    async (driver) => {
      const moments = [driver.moment()]
      for (let n = 0; n < 5; n += 1) {
        await driver.transact(async (transaction) => transaction.put(`k${n}`, () => Buffer.from('v')))
        const moment = driver.moment()
        // NaN, where a store cannot tell right now, equals nothing.
        assert.ok(!moments.some((each) => each === moment), `${moment} again, after ${moments.join()}`)
        moments.push(moment)
        await driver.get(`k${n}`)
        await driver.list('')
        await assert.rejects(
          driver.transact(async () => {
            throw new Error('no')
          }),
        )
        assert.equal(driver.moment(), moment)
      }
    },
  )

  check('a change that throws writes nothing, and its error comes through', async (driver) => {
    const mine = new Error('mine')
    const change = driver.transact(async (transaction) => {
      transaction.put('a', () => Buffer.from('1'))
      throw mine
    })
    await assert.rejects(change, (error) => error === mine)
    assert.equal(await driver.get('a'), undefined)
    const encoding = driver.transact(async (transaction) => {
      transaction.put('a', () => Buffer.from('1'))
      transaction.put('b', () => {
        throw mine
      })
    })
    await assert.rejects(encoding, (error) => error === mine)
    assert.deepEqual(await driver.list(''), [])
  })

  check('readers see all of a change or nothing of it', async (driver) => {
    const keys = Array.from({ length: 20 }, (_, index) => `set/${index}`)
    let writing = true
    const writer = async () => {
      for (let round = 1; round <= 40; round += 1)
        await write(driver, Object.fromEntries(keys.map((key) => [key, String(round)])))
      writing = false
    }
    const reader = async () => {
      while (writing) {
        const found = await driver.scan('set/')
        assert.ok(new Set(found.map(({ entry }) => textOf(entry))).size <= 1)
        assert.ok(found.length === 0 || found.length === keys.length)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await Promise.all([writer(), reader()])
  })

  check('listeners hear of each commit, with its keys, before a read can show it', async (driver) => {
    const heard: string[][] = []
    driver.onCommit(({ keys }) => heard.push(keys.toSorted()))
    await write(driver, { a: '1', b: '1' })
    assert.deepEqual(heard.flat(), ['a', 'b'])
    await driver.transact(async (transaction) => {
      transaction.put('c', () => Buffer.from('1'))
      transaction.delete('a')
    })
    assert.deepEqual(heard.flat().slice(2).toSorted(), ['a', 'c'])
    await driver.transact(async (transaction) => transaction.get('b'))
    await assert.rejects(
      driver.transact(async (transaction) => {
        transaction.put('never', () => Buffer.from('1'))
        throw new Error('no')
      }),
    )
    assert.equal(heard.flat().length, 4, 'nothing committed, nothing heard')
    // Somebody who keeps a copy until told otherwise never returns an older one than was acknowledged.
    const kept = new Map<string, string | undefined>()
    driver.onCommit(({ keys }) => keys.forEach((key) => kept.delete(key)))
    for (let round = 0; round < 50; round += 1) {
      kept.set('b', textOf(await driver.get('b')))
      await write(driver, { b: String(round) })
      assert.equal(kept.has('b'), false)
    }
  })

  check('what was acknowledged is read by everybody at once', async (driver) => {
    await Promise.all(
      Array.from({ length: 20 }, async (_, who) => {
        for (let round = 0; round < 20; round += 1) {
          await write(driver, { [`of/${who}`]: String(round) })
          assert.equal(textOf(await driver.get(`of/${who}`)), String(round))
          assert.equal(textOf((await driver.scan('of/')).find(({ key }) => key === `of/${who}`)?.entry), String(round))
        }
      }),
    )
  })

  check('all is still there after a restart', async (driver, { reopen }) => {
    const keys = inFolder('kept', 500)
    await write(driver, Object.fromEntries(keys.map((key) => [key, key])))
    await driver.transact(async (transaction) => transaction.delete(keys[0]!))
    if (!reopen) return
    const again = await reopen()
    assert.deepEqual(
      (await again.scan('kept/')).map(({ key, entry }) => [key, textOf(entry)]),
      keys.slice(1).map((key) => [key, key]),
    )
  })

  check('after close nothing is read or written', async (driver) => {
    await write(driver, { a: '1' })
    await driver.close()
    await refuses(driver.get('a'), 'storage_failed')
    await refuses(driver.get('b'), 'storage_failed')
    await refuses(driver.getMany(['a']), 'storage_failed')
    await refuses(driver.list(''), 'storage_failed')
    await refuses(driver.keys(''), 'storage_failed')
    await refuses(driver.scan(''), 'storage_failed')
    await refuses(write(driver, { a: '2' }), 'storage_failed')
    await driver.close()
  })

  check('close waits for the changes that are under way', async (driver, { reopen }) => {
    const all = Promise.all(inFolder('late', 50).map((key) => write(driver, { [key]: '1' })))
    await new Promise((resolve) => setImmediate(resolve))
    await driver.close()
    await all
    if (reopen) assert.equal((await (await reopen()).list('late/')).length, 50)
  })
}

function versions(check: Check): void {
  check('versions are given to no two writes and grow with each', async (driver, { reopen }) => {
    const seen = new Set<number>()
    let last = 0
    let current = driver
    for (let round = 0; round < 3; round += 1) {
      for (let turn = 0; turn < 20; turn += 1) {
        await current.transact(async (transaction) => {
          for (const key of ['a', 'b', `c${turn}`]) {
            transaction.put(key, (version) => {
              assert.ok(Number.isSafeInteger(version) && version > last, `${version} after ${last}`)
              assert.ok(!seen.has(version))
              seen.add(version)
              last = version
              return Buffer.from(String(version))
            })
          }
        })
      }
      // The highest version is gone from the store, and still must not be given out again.
      await current.transact(async (transaction) => {
        for (const key of await transaction.list('')) transaction.delete(key)
      })
      if (reopen) current = await reopen()
    }
  })

  check('an entry has the version that its encoding was told', async (driver, { reopen }) => {
    await driver.transact(async (transaction) => {
      transaction.put('a', (version) => Buffer.from(String(version)))
      assert.equal(textOf(await transaction.get('a')), String((await transaction.get('a'))?.version))
    })
    const agree = (entry: Entry | undefined) => assert.equal(textOf(entry), String(entry?.version))
    agree(await driver.get('a'))
    agree((await driver.scan(''))[0]?.entry)
    if (reopen) agree(await (await reopen()).get('a'))
  })

  check('a blind write that was numbered before another one but ends after it gets a new number', async (driver) => {
    const numbers: number[] = []
    const put = async (transaction: Transaction) =>
      transaction.put('k', (version) => {
        numbers.push(version)
        return Buffer.from(String(version))
      })
    await raced(driver, put, put)
    assert.equal((await driver.get('k'))?.version, Math.max(...numbers))
    assert.equal(numbers.length, 3)
  })
}

function limits(check: Check): void {
  check('keys are text of 1 to 1,024 bytes without NUL', async (driver) => {
    const longest = 'é'.repeat(512)
    await write(driver, { [longest]: '1' })
    assert.equal(textOf(await driver.get(longest)), '1')
    const bad: [string, ErrorCode][] = [
      ['', 'invalid_request'],
      ['a\0b', 'invalid_request'],
      ['\ud800', 'invalid_request'],
      [`${longest}x`, 'too_large'],
      ['x'.repeat(1025), 'too_large'],
    ]
    for (const [key, code] of bad) {
      await refuses(driver.get(key), code)
      await refuses(driver.getMany([key]), code)
      await refuses(write(driver, { [key]: '1' }), code)
      await refuses(
        driver.transact(async (transaction) => transaction.get(key)),
        code,
      )
      await refuses(
        driver.transact(async (transaction) => transaction.delete(key)),
        code,
      )
    }
    assert.deepEqual(await driver.list(''), [longest])
  })

  check("prefixes are empty or end in '/', and limits are counts", async (driver) => {
    await refuses(driver.list('a'), 'invalid_request')
    await refuses(driver.keys('a'), 'invalid_request')
    await refuses(driver.scan('a'), 'invalid_request')
    await refuses(
      driver.transact(async (transaction) => transaction.list('a')),
      'invalid_request',
    )
    await refuses(
      driver.transact(async (transaction) => transaction.scan('a')),
      'invalid_request',
    )
    await refuses(
      driver.transact(async (transaction) => transaction.keys('a')),
      'invalid_request',
    )
    await refuses(driver.list('', { limit: -1 }), 'invalid_request')
    await refuses(driver.list('', { limit: 1.5 }), 'invalid_request')
    await refuses(driver.scan('', { limit: Number.NaN }), 'invalid_request')
    await refuses(driver.keys('', { limit: Number.NaN }), 'invalid_request')
    assert.deepEqual(await driver.list('', { limit: Number.MAX_SAFE_INTEGER }), [])
  })

  check('a value has at most 4 MiB', async (driver) => {
    const largest = new Uint8Array(4 * 1024 * 1024).fill(7)
    await driver.transact(async (transaction) => transaction.put('largest', () => largest))
    assert.deepEqual((await driver.get('largest'))?.value.byteLength, largest.byteLength)
    const change = driver.transact(async (transaction) => {
      transaction.put('small', () => Buffer.from('1'))
      transaction.put('larger', () => new Uint8Array(largest.byteLength + 1))
    })
    await refuses(change, 'too_large')
    assert.deepEqual(await driver.list(''), ['largest'])
  })

  check('a transaction has a bounded number of writes', async (driver) => {
    const change = driver.transact(async (transaction) => {
      for (let index = 0; index < 10_001; index += 1) transaction.put(`w/${index}`, () => new Uint8Array(0))
    })
    await refuses(change, 'too_large')
    assert.deepEqual(await driver.list(''), [])
  })

  check('a scan that carries too much is refused, and smaller pages of it or only its keys are not', async (driver) => {
    const keys = inFolder('heavy', 17)
    for (const key of keys)
      await driver.transact(async (transaction) => transaction.put(key, () => new Uint8Array(4 * 1024 * 1024)))
    await refuses(driver.scan('heavy/'), 'too_large')
    assert.equal((await driver.scan('heavy/', { limit: 16 })).length, 16)
    assert.deepEqual(await driver.keys('heavy/'), keys)
    assert.deepEqual(await driver.transact((transaction) => transaction.keys('heavy/')), keys)
  })
}

/** Random operations, also inside transactions, against the plainest possible map. */
function models(check: Check): void {
  check('random changes, listings and scans agree with a plain map', async (driver) => {
    const random = generator(20_260_101)
    const parts = ['a', 'a!', 'b', '\uffff', '\u{1f511}', '0']
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
    const someKey = () => Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(parts)).join('/')
    const somePrefix = () => (random() < 0.3 ? '' : `${someKey()}/`)
    const somePage = () => ({
      limit: random() < 0.5 ? undefined : Math.floor(random() * 6),
      after: random() < 0.5 ? undefined : someKey(),
    })
    const model = new Map<string, string>()
    const compare = async (reads: Reads) => {
      const prefix = somePrefix()
      const page = somePage()
      assert.deepEqual(await reads.list(prefix, page), modelList(model, prefix, page), JSON.stringify({ prefix, page }))
      const found = await reads.scan(prefix, page)
      assert.deepEqual(
        found.map(({ key, entry }) => [key, textOf(entry)]),
        modelScan(model, prefix, page),
        JSON.stringify({ prefix, page }),
      )
      assert.deepEqual(
        await reads.keys(prefix, page),
        modelScan(model, prefix, page).map(([key]) => key),
      )
      const key = someKey()
      assert.equal(textOf(await reads.get(key)), model.get(key))
    }
    for (let round = 0; round < 200; round += 1) {
      await driver.transact(async (transaction) => {
        for (let turn = 0; turn < 6; turn += 1) {
          const key = someKey()
          const text = String(round * 10 + turn)
          if (random() < 0.4) {
            transaction.delete(key)
            model.delete(key)
          } else {
            transaction.put(key, () => Buffer.from(text))
            model.set(key, text)
          }
          await compare(transaction)
        }
      })
      await compare(driver)
    }
  })
}

function modelScan(
  model: ReadonlyMap<string, string>,
  prefix: string,
  page: { after?: string | undefined; limit?: number | undefined },
) {
  return [...model]
    .filter(
      ([key]) =>
        key.startsWith(prefix) && key !== prefix && (page.after === undefined || compareBytes(key, page.after) > 0),
    )
    .toSorted(([a], [b]) => compareBytes(a, b))
    .slice(0, page.limit)
}

function modelList(
  model: ReadonlyMap<string, string>,
  prefix: string,
  page: { after?: string | undefined; limit?: number | undefined },
) {
  const rests = [...model.keys()]
    .filter((key) => key.startsWith(prefix) && key !== prefix)
    .map((key) => key.slice(prefix.length))
  const names = new Set(rests.map((rest) => (rest.includes('/') ? rest.slice(0, rest.indexOf('/') + 1) : rest)))
  return [...names]
    .toSorted(compareBytes)
    .filter((name) => page.after === undefined || compareBytes(name, page.after) > 0)
    .slice(0, page.limit)
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/**
 * Runs `first` up to its pause (its end, unless it pauses itself), then all of `second`, then lets `first` go on. Only the
 * first run pauses.
 */
async function raced<T>(
  driver: Driver,
  first: (transaction: Transaction, pause: () => Promise<void>) => Promise<T>,
  second: (transaction: Transaction) => Promise<void>,
): Promise<T> {
  const reached = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const pause = async () => {
    reached.resolve()
    await released.promise
  }
  const slow = driver.transact(async (transaction) => {
    const result = await first(transaction, pause)
    await pause()
    return result
  })
  // A failure of the first before its pause must not leave this waiting.
  slow.catch(() => undefined)
  await Promise.race([reached.promise, slow.then(() => undefined)])
  await driver.transact(second)
  released.resolve()
  return await slow
}

async function increment(transaction: Transaction, key: string): Promise<void> {
  const before = Number(textOf(await transaction.get(key)) ?? '0')
  transaction.put(key, () => Buffer.from(String(before + 1)))
}

async function write(driver: Driver, values: Readonly<Record<string, string>>): Promise<void> {
  await driver.transact(async (transaction) => {
    for (const [key, value] of Object.entries(values)) transaction.put(key, () => Buffer.from(value))
  })
}

async function refuses(promise: Promise<unknown>, code: ErrorCode): Promise<void> {
  await assert.rejects(promise, (error) => error instanceof ApiError && error.code === code && error.message !== '')
}

async function scannedKeys(
  reads: Reads,
  prefix: string,
  page?: { after?: string | undefined; limit?: number },
): Promise<string[]> {
  return (await reads.scan(prefix, page)).map(({ key }) => key)
}

async function onlyKeys(
  reads: Reads,
  prefix: string,
  page?: { after?: string | undefined; limit?: number },
): Promise<string[]> {
  return await reads.keys(prefix, page)
}

function inFolder(folder: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${folder}/${String(index).padStart(6, '0')}`)
}

function textOf(entry: Entry | undefined): string | undefined {
  return entry && Buffer.from(entry.value).toString()
}

function bytesOf(entry: Entry | undefined): number[] | undefined {
  return entry && [...entry.value]
}

/** Mulberry32: the same numbers in each run. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
