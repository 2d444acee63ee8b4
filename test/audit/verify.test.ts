/** Every way of falsifying a ledger, and that it is found, and where. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { after, before } from 'node:test'
import { Ledger } from '#audit/ledger/ledger.ts'
import { verifyLedger, type LedgerHead } from '#audit/ledger/verify.ts'

let original = ''
let names: string[] = []
let head: LedgerHead

before(async () => {
  original = fs.mkdtempSync(path.join(tmpdir(), 'strongroom-verify-'))
  const ledger = await Ledger.open({ folder: original, segmentBytes: 1_500, durable: false })
  for (let number = 0; number < 40; number++) await ledger.write(JSON.stringify({ number, by: 'alice' }))
  await ledger.close()
  names = fs.readdirSync(original).toSorted()
  head = (await verifyLedger(original)).head!
})

after(() => fs.rmSync(original, { recursive: true }))

type Segments = string[][]

/** A falsified copy: its segments are arrays of lines. */
async function falsified(change: (segments: Segments, files: string[]) => void, anchor?: LedgerHead) {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'strongroom-verify-'))
  try {
    const files = [...names]
    const segments = names.map((name) => fs.readFileSync(path.join(original, name), 'utf8').trimEnd().split('\n'))
    change(segments, files)
    for (const [at, file] of files.entries()) {
      const text = segments[at]!.join('\n')
      fs.writeFileSync(path.join(folder, file), text.endsWith('#cut') ? text.slice(0, -4) : `${text}\n`)
    }
    return await verifyLedger(folder, anchor ? { anchor } : {})
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

/** Chain the lines anew, as somebody does who knows the format. */
function rechain(segments: Segments): void {
  let prev = '0'.repeat(64)
  let seq = 0
  for (const lines of segments) {
    for (const [at, line] of lines.entries()) {
      lines[at] = line.replace(/"ledger":\{"seq":.*\}\}$/, `"ledger":{"seq":${seq++},"prev":"${prev}"}}`)
      prev = createHash('sha256').update('\0').update(lines[at]!).digest('hex')
    }
  }
}

test('a ledger that nobody touched is whole', async () => {
  const verdict = await falsified(() => {}, head)
  assert.ok(names.length >= 4)
  assert.deepEqual(verdict, {
    ok: true,
    segments: names.length,
    lines: 40 + names.length,
    problems: [],
    problemCount: 0,
    head,
  })
})

/** What somebody does → the segment (counted from 0), the line (from 1) and the text of the first problem. */
const ways: [string, (segments: Segments, files: string[]) => void, number, number, RegExp][] = [
  ['a letter changed', (s) => (s[1]![3] = s[1]![3]!.replace('alice', 'alicf')), 1, 5, /does not fit line/],
  ['a space added', (s) => (s[1]![3] = s[1]![3]!.replace(':', ': ')), 1, 5, /does not fit line/],
  [
    'the last line of a segment changed',
    (s) => (s[1]![s[1]!.length - 1] = s[1]!.at(-1)!.replace('alice', 'carol')),
    2,
    1,
    /does not fit/,
  ],
  [
    'the first line of a segment changed',
    (s) => (s[2]![0] = s[2]![0]!.replace('"time":"2', '"time":"3')),
    2,
    2,
    /does not fit/,
  ],
  [
    'the very first line changed',
    (s) => (s[0]![0] = s[0]![0]!.replace('"time":"2', '"time":"3')),
    0,
    2,
    /does not fit/,
  ],
  ['a prev changed', (s) => (s[1]![3] = s[1]![3]!.replace(/"prev":"./, '"prev":"g')), 1, 4, /no line of a ledger/],
  [
    'a prev changed to another hash',
    (s) => (s[1]![3] = s[1]![3]!.replace(/"prev":".{4}/, '"prev":"0000')),
    1,
    4,
    /does not fit/,
  ],
  ['a number changed', (s) => (s[1]![3] = s[1]![3]!.replace(/"seq":\d+/, '"seq":77')), 1, 4, /where \d+ belongs/],
  ['a line dropped', (s) => s[1]!.splice(3, 1), 1, 4, /1 before it are missing/],
  ['many lines dropped', (s) => s[1]!.splice(2, 4), 1, 3, /4 before it are missing/],
  ['a line doubled', (s) => s[1]!.splice(3, 0, s[1]![3]!), 1, 5, /from elsewhere/],
  ['a line put in', (s) => s[1]!.splice(3, 0, '{"number":99}'), 1, 4, /no line of a ledger/],
  ['an empty line', (s) => s[1]!.splice(3, 0, ''), 1, 4, /no line of a ledger/],
  ['two lines swapped', (s) => s[1]!.splice(3, 2, s[1]![4]!, s[1]![3]!), 1, 4, /where \d+ belongs/],
  ['a line moved to another segment', (s) => s[2]!.push(s[1]!.splice(3, 1)[0]!), 1, 4, /missing/],
  ['a segment removed', (s, f) => [s.splice(1, 1), f.splice(1, 1)], 1, 1, /missing/],
  ['the first segment removed', (s, f) => [s.shift(), f.shift()], 0, 1, /missing/],
  ['two segments swapped', (_, f) => ([f[1], f[2]] = [f[2]!, f[1]!]), 2, 1, /where \d+ belongs/],
  ['the end of a segment cut off', (s) => s[1]!.splice(-2), 2, 1, /missing/],
  ['a segment emptied', (s) => (s[1] = ['#cut']), 2, 1, /missing/],
  [
    'a line cut in the middle of the ledger',
    (s) => (s[1]![s[1]!.length - 1] = `${s[1]!.at(-1)!.slice(0, 30)}#cut`),
    1,
    10,
    /unfinished .*somebody cut it/,
  ],
  [
    'a line cut at the end of the ledger',
    (s) => (s.at(-1)![s.at(-1)!.length - 1] = `${s.at(-1)!.at(-1)!.slice(0, 30)}#cut`),
    -1,
    0,
    /unfinished/,
  ],
  ['a very long line', (s) => s[1]!.splice(3, 0, `{"a":"${'x'.repeat(3_000_000)}"}`), 1, 4, /longer than any line/],
  [
    'a long line that looks right',
    (s) => s[1]!.splice(3, 0, s[1]![3]!.replace('{', `{"a":"${'x'.repeat(66_000)}",`)),
    1,
    4,
    /longer than|no line/,
  ],
  [
    'a segment of another ledger',
    (s) => ((s[2]![0] = s[2]![0]!.replace(/"id":"[^"]*"/, '"id":"00000000-0000-4000-8000-000000000000"')), rechain(s)),
    2,
    1,
    /another ledger/,
  ],
  ['a segment without its first line', (s) => (s[2]!.shift(), rechain(s)), 2, 1, /not that of a segment/],
  ['a segment renamed', (_, f) => (f[3] = '00000000000000000099.jsonl'), 3, 1, /not what its name says/],
]

for (const [what, change, segment, line, text] of ways) {
  test(`${what} is found`, async () => {
    let files: string[] = []
    const { ok, problems } = await falsified((segments, given) => {
      change(segments, given)
      files = given
    })
    assert.equal(ok, false)
    const first = problems[0]!
    assert.match(first.text, text)
    assert.equal(first.segment, files.at(segment))
    if (line > 0 && !text.source.startsWith('unfinished')) assert.equal(first.line, line)
  })
}

test('a ledger chained anew, and one whose end was cut off, fit in themselves; a head noted earlier tells', async () => {
  const forge = (segments: Segments) => {
    segments[1]![3] = segments[1]![3]!.replace('alice', 'carol')
    rechain(segments)
  }
  assert.equal((await falsified(forge)).ok, true)
  assert.match((await falsified(forge, head)).problems[0]!.text, /not the line that was noted/)
  const cut = (segments: Segments) => void segments.at(-1)!.pop()
  assert.equal((await falsified(cut)).ok, true)
  assert.match((await falsified(cut, head)).problems[0]!.text, /end was cut off/)
})

test('each single byte that is changed is found, but for the last line', async () => {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'strongroom-verify-'))
  try {
    for (const name of names) fs.copyFileSync(path.join(original, name), path.join(folder, name))
    const file = path.join(folder, names[1]!)
    const bytes = fs.readFileSync(file)
    for (let at = 0; at < bytes.length; at += 7) {
      const changed = Buffer.from(bytes)
      changed[at] = changed[at]! ^ 1
      fs.writeFileSync(file, changed)
      assert.equal((await verifyLedger(folder)).ok, false, `byte ${at}`)
    }
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
})

test('a folder without segments is no ledger', async () => {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'strongroom-verify-'))
  assert.equal((await verifyLedger(folder)).ok, false)
  fs.rmSync(folder, { recursive: true })
})

test('problems are counted beyond those that are listed', async () => {
  const { problems, problemCount } = await falsified((segments) => segments[1]!.push(...Array(5_000).fill('{}')))
  assert.equal(problems.length, 1_000)
  assert.ok(problemCount >= 5_000)
})

test('a ledger can be verified while it is written', async () => {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'strongroom-verify-'))
  const ledger = await Ledger.open({ folder, segmentBytes: 100_000 })
  let writing = true
  const writers = Array.from({ length: 8 }, async () => {
    while (writing) await ledger.write(JSON.stringify({ filler: 'x'.repeat(500) }))
  })
  for (let round = 0; round < 10; round++) assert.deepEqual((await verifyLedger(folder)).problems, [])
  writing = false
  await Promise.all(writers)
  await ledger.close()
  fs.rmSync(folder, { recursive: true })
})
