/** The embedded store under the barrier, changed on the disk by somebody who has no keys. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import test, { type TestContext } from 'node:test'
import { ApiError } from '#sdk/errors.ts'
import { Seal } from '#seal/seal.ts'
import { openStore, sqliteDriver, TestClock } from './support.ts'

interface Row {
  key: string
  version: number
  value: Uint8Array
}

const said = 'an entry of the store is damaged or was tampered with'

/**
 * A store with entries `area/a`, `area/b` (term 1) and `area/c` (term 2), closed, changed by `attack` and opened again.
 */
async function attacked(
  context: TestContext,
  attack: (rows: Map<string, Row>) => Row[],
): Promise<{ seal: Seal; share: Uint8Array }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'tampering-'))
  const opened = await openStore(await sqliteDriver(folder))
  const storage = opened.barrier.storage('area/')
  await storage.put('a', { secret: 'one' })
  await storage.put('b', { secret: 'two' })
  await opened.seal.keyRing!.rotate()
  await storage.put('c', { secret: 'three' })
  await opened.seal.seal()
  await opened.driver.close()

  const database = new DatabaseSync(path.join(folder, 'store.db'))
  const rows = database.prepare('SELECT key, version, value FROM entry').all() as unknown as Row[]
  const write = database.prepare('INSERT OR REPLACE INTO entry (key, version, value) VALUES (?, ?, ?)')
  for (const row of attack(new Map(rows.map((each) => [each.key, each])))) write.run(row.key, row.version, row.value)
  database.close()

  const driver = await sqliteDriver(folder)
  context.after(async () => {
    await driver.close()
    await rm(folder, { recursive: true })
  })
  const seal = await Seal.open(driver, { type: 'shamir' }, new TestClock())
  return { seal, share: opened.shares[0]! }
}

function flipped(value: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(value)
  copy[at < 0 ? copy.length + at : at]! ^= 0x20
  return copy
}

const attacks: Record<string, { attack: (rows: Map<string, Row>) => Row[]; victims: string[] }> = {
  'nothing is changed': { attack: () => [], victims: [] },
  'the values of two entries are swapped': {
    attack: (rows) => {
      const [a, b] = [rows.get('area/a')!, rows.get('area/b')!]
      return [
        { ...a, value: b.value },
        { ...b, value: a.value },
      ]
    },
    victims: ['area/a', 'area/b'],
  },
  'two entries are swapped with their versions': {
    attack: (rows) => {
      const [a, b] = [rows.get('area/a')!, rows.get('area/b')!]
      return [
        { ...b, key: 'area/a' },
        { ...a, key: 'area/b' },
      ]
    },
    victims: ['area/a', 'area/b'],
  },
  'an entry is copied to a new key': {
    attack: (rows) => [{ ...rows.get('area/a')!, key: 'area/copy' }],
    victims: ['area/copy'],
  },
  'an entry is moved to another area': {
    attack: (rows) => [{ ...rows.get('area/a')!, key: 'other/a' }],
    victims: ['other/a'],
  },
  'a byte of the ciphertext is flipped': {
    attack: (rows) => [{ ...rows.get('area/a')!, value: flipped(rows.get('area/a')!.value, 20) }],
    victims: ['area/a'],
  },
  'a byte of the tag is flipped': {
    attack: (rows) => [{ ...rows.get('area/a')!, value: flipped(rows.get('area/a')!.value, -1) }],
    victims: ['area/a'],
  },
  'a byte of the IV is flipped': {
    attack: (rows) => [{ ...rows.get('area/a')!, value: flipped(rows.get('area/a')!.value, 6) }],
    victims: ['area/a'],
  },
  'the format is changed': {
    attack: (rows) => [{ ...rows.get('area/a')!, value: flipped(rows.get('area/a')!.value, 0) }],
    victims: ['area/a'],
  },
  'the version is changed': {
    attack: (rows) => [{ ...rows.get('area/a')!, version: rows.get('area/a')!.version + 1 }],
    victims: ['area/a'],
  },
  'the version is raised by 2^32': {
    attack: (rows) => [{ ...rows.get('area/a')!, version: rows.get('area/a')!.version + 2 ** 32 }],
    victims: ['area/a'],
  },
  'the term is changed to another one of the ring': {
    attack: (rows) => {
      const value = Uint8Array.from(rows.get('area/a')!.value)
      value[4] = 2
      return [{ ...rows.get('area/a')!, value }]
    },
    victims: ['area/a'],
  },
  'the term is changed to one that never was': {
    attack: (rows) => {
      const value = Uint8Array.from(rows.get('area/c')!.value)
      value[4] = 77
      return [{ ...rows.get('area/c')!, value }]
    },
    victims: ['area/c'],
  },
  'an entry of the seal is planted': {
    attack: (rows) => [{ ...rows.get('seal/keyring')!, key: 'area/a' }],
    victims: ['area/a'],
  },
  'the entry is cut short': {
    attack: (rows) => [{ ...rows.get('area/a')!, value: rows.get('area/a')!.value.slice(0, -1) }],
    victims: ['area/a'],
  },
  'the entry is emptied': {
    attack: (rows) => [{ ...rows.get('area/a')!, value: new Uint8Array(0) }],
    victims: ['area/a'],
  },
}

for (const [what, { attack, victims }] of Object.entries(attacks)) {
  test(`${what}: ${victims.length > 0 ? 'each read of it is refused and says so' : 'all reads succeed'}`, async (context) => {
    const { seal, share } = await attacked(context, attack)
    await seal.submitShare(share)
    for (const victim of victims) {
      const [area, key] = victim.split('/') as [string, string]
      const storage = seal.barrier!.storage(`${area}/`)
      const refused = (error: unknown) => {
        assert.ok(error instanceof ApiError)
        assert.deepEqual([error.code, error.message], ['internal', said])
        assert.ok(error.reason!.includes(JSON.stringify(victim)), error.reason!)
        return true
      }
      await assert.rejects(storage.get(key), refused)
      await assert.rejects(storage.getShared(key), refused)
      const inTransaction = storage.transact(async (transaction) => await transaction.get(key))
      await assert.rejects(inTransaction, refused)
      const update = storage.update<object>(key, (value) => value)
      await assert.rejects(update, refused)
    }
    // What was not touched is still served.
    const values = { a: 'one', b: 'two', c: 'three' }
    for (const [key, secret] of Object.entries(values)) {
      if (!victims.includes(`area/${key}`)) assert.deepEqual(await seal.barrier!.storage('area/').get(key), { secret })
    }
  })
}

const sealAttacks: Record<string, { attack: (rows: Map<string, Row>) => Row[]; text: RegExp }> = {
  'the key ring is flipped': {
    attack: (rows) => [{ ...rows.get('seal/keyring')!, value: flipped(rows.get('seal/keyring')!.value, 40) }],
    text: /damaged or was tampered with/,
  },
  'the version of the key ring is changed': {
    attack: (rows) => [{ ...rows.get('seal/keyring')!, version: rows.get('seal/keyring')!.version - 1 }],
    text: /damaged or was tampered with/,
  },
  'the key ring is replaced by an entry': {
    attack: (rows) => [{ ...rows.get('area/a')!, key: 'seal/keyring' }],
    text: /damaged or was tampered with/,
  },
  'the sealed root key is replaced': {
    attack: (rows) => [
      {
        ...rows.get('seal/root-key')!,
        value: Buffer.from(JSON.stringify({ key_id: 'shamir', wrapped: Buffer.alloc(65, 1).toString('base64') })),
      },
    ],
    text: /unable to retrieve stored keys/,
  },
  'the sealed root key is no JSON': {
    attack: (rows) => [{ ...rows.get('seal/root-key')!, value: Buffer.from('x') }],
    text: /damaged or was tampered with/,
  },
}

for (const [what, { attack, text }] of Object.entries(sealAttacks)) {
  test(`${what}: the store does not open and says so`, async (context) => {
    const { seal, share } = await attacked(context, attack)
    await assert.rejects(seal.submitShare(share), text)
    assert.deepEqual([seal.status().sealed, seal.barrier], [true, undefined])
  })
}
