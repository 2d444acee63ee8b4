/** The ledger: what it writes, that it keeps what it acknowledged, and that it goes on after crashes and a full disk. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { mock, type TestContext } from 'node:test'
import { Ledger, type LedgerOptions } from '#audit/ledger/ledger.ts'
import { verifyLedger } from '#audit/ledger/verify.ts'
import { Audit } from '#core/audit/audit.ts'
import { ApiError } from '#sdk/errors.ts'
import { requestEvent } from './events.ts'
import { killRounds } from './killRounds.ts'
import { startWriter } from './writer.ts'

function newFolder(t: TestContext): string {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'strongroom-ledger-'))
  t.after(() => fs.rmSync(folder, { recursive: true }))
  return path.join(folder, 'ledger')
}

const segments = (folder: string) => fs.readdirSync(folder).toSorted()
const read = (folder: string, at = 0) => fs.readFileSync(path.join(folder, segments(folder).at(at)!), 'utf8')
const lines = (folder: string) =>
  segments(folder)
    .flatMap((_, at) => read(folder, at).trimEnd().split('\n'))
    .map((line) => JSON.parse(line))

const line = (number: number, filler = 0) => JSON.stringify({ number, filler: 'x'.repeat(filler) })

const all = (count: number) => Array<boolean>(count).fill(true)

async function written(folder: string, count: number, options: Partial<LedgerOptions> = {}, filler = 0): Promise<void> {
  const ledger = await Ledger.open({ folder, ...options })
  for (let number = 0; number < count; number++) await ledger.write(line(number, filler))
  await ledger.close()
}

/** Real writes, counted. */
function countWrites(t: TestContext): () => number {
  const spy = mock.method(fs, 'writeSync')
  syncBuiltinESMExports()
  t.after(() => {
    spy.mock.restore()
    syncBuiltinESMExports()
  })
  return () => spy.mock.callCount()
}

test('lines are chained by the hash of a Merkle leaf, with what is ours at the end', async (t) => {
  const folder = newFolder(t)
  await written(folder, 3)
  assert.deepEqual(segments(folder), ['00000000000000000000.jsonl'])
  const texts = read(folder).trimEnd().split('\n')
  assert.equal(texts.length, 4)
  let prev = '0'.repeat(64)
  for (const [seq, text] of texts.entries()) {
    assert.deepEqual(JSON.parse(text).ledger, { seq, prev })
    assert.ok(text.endsWith(`,"ledger":{"seq":${seq},"prev":"${prev}"}}`))
    prev = createHash('sha256')
      .update(Buffer.from([0]))
      .update(text)
      .digest('hex')
  }
  assert.deepEqual(Object.keys(JSON.parse(texts[0]!)), ['time', 'type', 'version', 'id', 'ledger'])
  assert.deepEqual(
    texts.slice(1).map((text) => JSON.parse(text).number),
    [0, 1, 2],
  )
  assert.equal((await verifyLedger(folder)).head?.hash, prev)
})

test('nobody else may read it', async (t) => {
  const folder = newFolder(t)
  await written(folder, 1)
  assert.equal(fs.statSync(folder).mode & 0o777, 0o700)
  assert.equal(fs.statSync(path.join(folder, segments(folder)[0]!)).mode & 0o777, 0o600)
})

test('lines that wait go out in one write, in order', async (t) => {
  const folder = newFolder(t)
  const ledger = await Ledger.open({ folder })
  const writes = countWrites(t)
  const done: number[] = []
  await Promise.all(Array.from({ length: 200 }, (_, at) => ledger.write(line(at)).then(() => done.push(at))))
  assert.equal(writes(), 1)
  assert.deepEqual(
    done,
    Array.from({ length: 200 }, (_, at) => at),
  )
  // Those that come a little later share the next one.
  await Promise.all([
    ledger.write(line(200)),
    ...Array.from({ length: 5 }, async (_, at) => {
      await new Promise((resolve) => setImmediate(resolve))
      await ledger.write(line(201 + at))
    }),
  ])
  assert.equal(writes(), 2)
  await ledger.close()
  assert.deepEqual(
    lines(folder)
      .slice(1)
      .map(({ number }) => number),
    Array.from({ length: 206 }, (_, at) => at),
  )
  assert.ok((await verifyLedger(folder)).ok)
})

test('as many as came the last time are waited for, but not for long', async (t) => {
  const folder = newFolder(t)
  const ledger = await Ledger.open({ folder })
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const some = (count: number) => Array.from({ length: count }, (_, at) => ledger.write(line(at)))
  const turns = async () => {
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(some(20))
  const writes = countWrites(t)
  const first = some(10)
  await turns()
  assert.equal(writes(), 0)
  await Promise.all([...first, ...some(10)])
  assert.equal(writes(), 1)
  const fewer = some(5)
  await turns()
  assert.equal(writes(), 1)
  t.mock.timers.tick(1)
  await Promise.all(fewer)
  assert.equal(writes(), 2)
  await ledger.close()
})

test('who is alone waits for nobody', async (t) => {
  const ledger = await Ledger.open({ folder: newFolder(t) })
  // A timer that never comes would leave the line unwritten.
  t.mock.timers.enable({ apis: ['setTimeout'] })
  for (let at = 0; at < 5; at += 1) {
    await ledger.write(line(at))
    await Promise.all([ledger.write(line(at)), ledger.write(line(at))])
  }
  await ledger.close()
})

test('a batch has a limit, and what is beyond it goes into the next', async (t) => {
  const folder = newFolder(t)
  const ledger = await Ledger.open({ folder })
  const writes = countWrites(t)
  await Promise.all(Array.from({ length: 20 }, (_, at) => ledger.write(line(at, 60_000))))
  assert.equal(writes(), 5)
  await ledger.close()
  assert.deepEqual(
    lines(folder)
      .slice(1)
      .map(({ number }) => number),
    Array.from({ length: 20 }, (_, at) => at),
  )
})

test('a line is acknowledged only when it is in the file', async (t) => {
  const folder = newFolder(t)
  const ledger = await Ledger.open({ folder })
  const before = read(folder)
  const kept = ledger.write(line(1))
  assert.equal(read(folder), before)
  await kept
  assert.equal(read(folder).length, before.length + line(1).length + ',"ledger":{"seq":1,"prev":""}}'.length + 64)
  await ledger.close()
})

test('a full segment is followed by another, and the chain goes on in it', async (t) => {
  const folder = newFolder(t)
  await written(folder, 50, { segmentBytes: 2_000 }, 100)
  const names = segments(folder)
  assert.ok(names.length > 4)
  const all = lines(folder)
  assert.deepEqual(
    all.map(({ ledger }) => ledger.seq),
    Array.from({ length: all.length }, (_, at) => at),
  )
  for (const name of names) {
    const first = JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8').split('\n')[0]!)
    assert.equal(first.type, 'ledger')
    assert.equal(first.id, all[0].id)
    assert.equal(name, `${String(first.ledger.seq).padStart(20, '0')}.jsonl`)
  }
  const verdict = await verifyLedger(folder)
  assert.deepEqual([verdict.ok, verdict.segments, verdict.lines], [true, names.length, all.length])
})

test('it goes on where it stopped, in the same segment', async (t) => {
  const folder = newFolder(t)
  for (let round = 0; round < 4; round++) await written(folder, 5, { segmentBytes: 1_500 })
  const verdict = await verifyLedger(folder)
  assert.deepEqual(verdict.problems, [])
  assert.equal(lines(folder).filter(({ type }) => type !== 'ledger').length, 20)
  assert.equal(segments(folder).length, 2)
})

test('lines that are no JSON object, or too long, are refused and harm nobody', async (t) => {
  const folder = newFolder(t)
  const ledger = await Ledger.open({ folder })
  for (const bad of ['', '{}', 'text', '{"a":1}\n{"b":2}', line(0, 65_400), `{"a":"${'ä'.repeat(32_800)}"}`]) {
    await assert.rejects(ledger.write(bad), { code: 'audit_failed' })
  }
  await ledger.write(`{"a":"${'ä'.repeat(32_000)}"}`)
  await ledger.write(line(1))
  await ledger.close()
  await assert.rejects(ledger.write(line(2)), { code: 'audit_failed' })
  const verdict = await verifyLedger(folder)
  assert.deepEqual([verdict.ok, verdict.lines], [true, 3])
})

test('the longest payloads fit: one hash stands for them', async (t) => {
  const folder = newFolder(t)
  const audit = new Audit()
  audit.add('ledger/', await Ledger.open({ folder }), { key: randomBytes(32), required: true })
  const data = Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`name ${at}`, `value ${at}`]))
  await audit.record(requestEvent({ data }))
  await audit.close()
  assert.match(lines(folder)[1].request.data.elided, /^hmac-sha256:/)
})

for (const [what, damage] of Object.entries<(file: string) => void>({
  'a line without its end': (file) => fs.appendFileSync(file, line(9).slice(0, 12)),
  'a line without its line break': (file) => fs.appendFileSync(file, fs.readFileSync(file, 'utf8').split('\n')[1]!),
  'pages that were never written': (file) => fs.appendFileSync(file, Buffer.alloc(10_000)),
  'pages that were never written, and lines after them': (file) =>
    fs.appendFileSync(file, Buffer.concat([Buffer.from('{"a'), Buffer.alloc(4096), Buffer.from('b":1}\n{"c":1}\n')])),
})) {
  test(`after a crash, ${what} is cut off`, async (t) => {
    const folder = newFolder(t)
    await written(folder, 5)
    const file = path.join(folder, segments(folder)[0]!)
    const { size } = fs.statSync(file)
    damage(file)
    const torn = fs.statSync(file).size - size
    const ledger = await Ledger.open({ folder })
    assert.equal(ledger.cutBytes, torn)
    assert.equal(fs.statSync(file).size, size)
    await ledger.write(line(5))
    await ledger.close()
    assert.ok((await verifyLedger(folder)).ok)
    assert.deepEqual(
      lines(folder)
        .slice(1)
        .map(({ number }) => number),
      [0, 1, 2, 3, 4, 5],
    )
  })
}

for (const content of ['', '{"time":"2026', '\0'.repeat(200)]) {
  test(`a segment that was only begun (${content.length} bytes) is begun again`, async (t) => {
    const folder = newFolder(t)
    await written(folder, 5)
    fs.writeFileSync(path.join(folder, '00000000000000000006.jsonl'), content)
    await written(folder, 1)
    assert.equal(segments(folder).length, 1)
    assert.equal(lines(folder).length, 7)
    assert.ok((await verifyLedger(folder)).ok)

    const first = newFolder(t)
    fs.mkdirSync(first)
    fs.writeFileSync(path.join(first, '00000000000000000000.jsonl'), content)
    await written(first, 1)
    assert.ok((await verifyLedger(first)).ok)
  })
}

for (const [what, change] of Object.entries<(text: string) => string>({
  'a changed line': (text) => text.replace('"number":2', '"number":7'),
  'a line removed': (text) => text.split('\n').toSpliced(3, 1).join('\n'),
  'two lines swapped': (text) => {
    const [first, second, third, ...rest] = text.split('\n')
    return [first, third, second, ...rest].join('\n')
  },
  'a line of somebody else': (text) => `${text}{"number":9}\n`,
  'another first line': (text) => text.replace('"type":"ledger"', '"type":"lodger"'),
  'a newer format': (text) => text.replace('"version":1', '"version":2'),
})) {
  test(`it does not go on after ${what}, and leaves everything as it is`, async (t) => {
    const folder = newFolder(t)
    await written(folder, 5)
    const file = path.join(folder, segments(folder)[0]!)
    const changed = change(fs.readFileSync(file, 'utf8'))
    fs.writeFileSync(file, changed)
    await assert.rejects(Ledger.open({ folder }), (error: ApiError) => {
      assert.equal(error.code, 'audit_failed')
      assert.match(error.message, /cannot go on: .*00000000000000000000\.jsonl/)
      return true
    })
    assert.equal(fs.readFileSync(file, 'utf8'), changed)
  })
}

test('it does not go on after a segment that another ledger, or an older copy, continues', async (t) => {
  const folder = newFolder(t)
  await written(folder, 11, { segmentBytes: 1_200 })
  const names = segments(folder)
  assert.equal(names.length, 2)
  const first = path.join(folder, names[0]!)
  const text = fs.readFileSync(first, 'utf8')
  fs.writeFileSync(first, text.split('\n').slice(0, -2).join('\n') + '\n')
  await assert.rejects(Ledger.open({ folder }), /does not go on where/)
  fs.writeFileSync(first, text)
  fs.renameSync(path.join(folder, names[1]!), path.join(folder, '00000000000000000099.jsonl'))
  await assert.rejects(Ledger.open({ folder }), /the name of another/)
})

test('old segments may be moved away', async (t) => {
  const folder = newFolder(t)
  await written(folder, 30, { segmentBytes: 1_500 })
  const names = segments(folder)
  for (const name of names.slice(0, -1)) fs.unlinkSync(path.join(folder, name))
  await written(folder, 1)
  assert.equal(JSON.parse(read(folder).trimEnd().split('\n').at(-1)!).ledger.seq, 30 + names.length)
})

test('only the end of a long segment is read when it opens', async (t) => {
  const folder = newFolder(t)
  const ledger = await Ledger.open({ folder, durable: false })
  for (let at = 0; at < 40; at++) await Promise.all(Array.from({ length: 40 }, () => ledger.write(line(at, 2_000))))
  await ledger.close()
  const file = path.join(folder, segments(folder)[0]!)
  assert.ok(fs.statSync(file).size > 3_000_000)
  // Far from the end: opening does not see it, verification does.
  const handle = fs.openSync(file, 'r+')
  fs.writeSync(handle, 'y', 100_000)
  fs.closeSync(handle)
  await written(folder, 1)
  assert.equal((await verifyLedger(folder)).problemCount, 1)
})

test('it stops when somebody else writes to its segment, and acknowledges nothing more', async (t) => {
  const folder = newFolder(t)
  const ledger = await Ledger.open({ folder })
  await ledger.write(line(1))
  fs.appendFileSync(path.join(folder, segments(folder)[0]!), 'foreign\n')
  await assert.rejects(ledger.write(line(2)), { code: 'audit_failed' })
  assert.match(ledger.trouble()!, /somebody else changed/)
  await assert.rejects(ledger.write(line(3)), { code: 'audit_failed' })
  assert.ok(read(folder).includes('foreign'))
  await ledger.close()
})

test('it stops when its segment is cut or deleted', async (t) => {
  for (const harm of [(file: string) => fs.truncateSync(file, 10), (file: string) => fs.unlinkSync(file)]) {
    const folder = newFolder(t)
    const ledger = await Ledger.open({ folder })
    await ledger.write(line(1))
    harm(path.join(folder, segments(folder)[0]!))
    await assert.rejects(ledger.write(line(2)), { code: 'audit_failed' })
    assert.match(ledger.trouble()!, /segment/)
    await ledger.close()
  }
})

test('a folder that cannot be written is told when it opens', async (t) => {
  const folder = newFolder(t)
  fs.writeFileSync(folder, 'a file')
  await assert.rejects(Ledger.open({ folder }), { code: 'audit_failed' })
})

test('a full disk refuses all who wait, leaves nothing half written, and is over when there is room', async (t) => {
  const folder = newFolder(t)
  await using writer = await startWriter('ledger', folder)
  assert.deepEqual(await writer.write(10, 500), { kept: all(10), failures: [], trouble: undefined })
  const { size } = fs.statSync(path.join(folder, segments(folder)[0]!))
  for (const room of [0, 1, 700, 1_500]) {
    // Room for a part of what comes: the write is cut short by the system, in the middle of a line.
    writer.limitFiles(size + room)
    const full = await writer.write(10, 500)
    assert.ok(!full.kept.includes(true))
    assert.equal(full.failures.length, 1)
    assert.match(full.failures[0]!, /nothing is answered until/)
    assert.match(full.trouble!, /nothing is answered until/)
    assert.equal(fs.statSync(path.join(folder, segments(folder)[0]!)).size, size)
    assert.ok((await verifyLedger(folder)).ok)
  }
  writer.limitFiles(undefined)
  assert.deepEqual(await writer.write(10, 500), { kept: all(10), failures: [], trouble: undefined })
  const verdict = await verifyLedger(folder)
  assert.deepEqual([verdict.ok, verdict.lines], [true, 21])
})

test('a disk that is full when a segment begins leaves no segment behind', async (t) => {
  const folder = newFolder(t)
  await using writer = await startWriter('ledger', folder, 3_000)
  await writer.write(10, 500)
  assert.equal(segments(folder).length, 1)
  writer.limitFiles(100)
  assert.ok(!(await writer.write(10, 500)).kept.includes(true))
  assert.equal(segments(folder).length, 1)
  writer.limitFiles(undefined)
  assert.deepEqual((await writer.write(10, 500)).kept, all(10))
  assert.equal(segments(folder).length, 2)
  assert.ok((await verifyLedger(folder)).ok)
})

test('killed in the middle of writing, it has every line that it acknowledged', async (t) => {
  const result = await killRounds(newFolder(t), 6)
  assert.deepEqual(result.problems, [])
  assert.ok(result.acknowledged > 1_000, `only ${result.acknowledged} lines were acknowledged`)
})
