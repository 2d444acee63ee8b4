import assert from 'node:assert/strict'
import test from 'node:test'
import { hclBlocks, hclToPlain, MAX_HCL_CHARACTERS, MAX_HCL_DEPTH, parseHcl, type HclObject } from './hcl.ts'

function parsed(text: string): HclObject {
  const result = parseHcl(text)
  assert.ok(result.ok, result.ok ? '' : `${result.line}:${result.column}: ${result.message} in ${text}`)
  return result.value
}

function plain(text: string): unknown {
  // Through JSON, since these records have no prototype.
  return JSON.parse(JSON.stringify(hclToPlain(parsed(text))))
}

function refused(text: string, message: string, place = ''): void {
  const result = parseHcl(text)
  assert.ok(!result.ok, `not refused: ${text}`)
  assert.equal(result.message, message)
  if (place !== '') assert.equal(`${result.line}:${result.column}`, place)
}

test('attributes of every kind', () => {
  const text = `
    ui = true
    off = false
    name = "vault"
    "quoted key" = 1
    dotted.and-dashed_key2 = 2
    größe = 3
    list = ["a", 1, true, [], [["x"]], {b = 1}, ]
    object = { a = 1, b = "two" }
    empty = {}
  `
  assert.deepEqual(plain(text), {
    ui: true,
    off: false,
    name: 'vault',
    'quoted key': 1,
    'dotted.and-dashed_key2': 2,
    größe: 3,
    list: ['a', 1, true, [], [['x']], { b: 1 }],
    object: { a: 1, b: 'two' },
    empty: {},
  })
})

test('numbers: decimal, hexadecimal, octal, fractions and exponents', () => {
  const text = 'a = 0x1F\nb = -42\nc = 1.5\nd = 2e3\ne = 1.5E-2\nf = 0755\ng = 0\nh = -0x10'
  assert.deepEqual(plain(text), { a: 31, b: -42, c: 1.5, d: 2000, e: 0.015, f: 493, g: 0, h: -16 })
  refused('a = 089', 'illegal number', '1:5')
  refused('a = 1e999', 'illegal number', '1:5')
})

test('escapes in quoted texts', () => {
  assert.deepEqual(plain(String.raw`a = "q\"b\\n\nt\tu\u00e4U\U0001F600x\x41o\101"`), { a: 'q"b\\n\nt\tuäU😀xAoA' })
  refused(String.raw`a = "\q"`, 'illegal char escape', '1:5')
  refused(String.raw`a = "\u12"`, 'illegal char escape')
  refused(String.raw`a = "\U99999999"`, 'illegal char escape')
})

test('what stands in ${…} is kept as it is, quotes and line breaks included', () => {
  assert.deepEqual(plain('a = "x ${f("y", {z})} $5 {w}"\nb = "${\n}"'), { a: 'x ${f("y", {z})} $5 {w}', b: '${\n}' })
})

test('comments of three kinds', () => {
  assert.deepEqual(plain('# one\na = 1 # two\n// three\nb /* four\n five */ = 2 // six\n/**/'), { a: 1, b: 2 })
  refused('a = 1 /* ', 'comment not terminated', '1:7')
  refused('a = 1 / 2', 'illegal character', '1:7')
})

test('a heredoc keeps its lines', () => {
  assert.deepEqual(plain('a = <<EOF\none\n  two "quoted" \\n\nEOF\nb = 2'), { a: 'one\n  two "quoted" \\n\n', b: 2 })
  assert.deepEqual(plain('a = <<EOF\r\none\r\nEOF\r\nb = 2'), { a: 'one\r\n', b: 2 })
  assert.deepEqual(plain('a = <<EOF\nEOF'), { a: '' })
  assert.deepEqual(plain('l = [<<A\nx\nA\n, <<B\ny\nB\n]'), { l: ['x\n', 'y\n'] })
})

test('a heredoc with a dash loses the indentation of its end, if every line has it', () => {
  assert.deepEqual(plain('a = <<-EOF\n    one\n      two\n    EOF\n'), { a: 'one\n  two\n' })
  assert.deepEqual(plain('a = <<-EOF\n    one\n  two\n    EOF\n'), { a: '    one\n  two\n' })
})

test('a heredoc that does not end is refused', () => {
  refused('a = <<EOF\none\nEOFX\n', 'heredoc not terminated', '1:5')
  refused('a = <<EOF one', 'heredoc not started by an anchor and a line break', '1:5')
  refused('a = <<\n\n', 'heredoc not started by an anchor and a line break')
})

test('blocks keep order, repetition, labels and places', () => {
  const { items } = parsed('path "a" {\n}\n  path "a" { x = 1 }\nthree "b" c "d" {}\nplain {}')
  assert.deepEqual(
    items.map(({ keys, line, column }) => ({ keys, line, column })),
    [
      { keys: ['path', 'a'], line: 1, column: 1 },
      { keys: ['path', 'a'], line: 3, column: 3 },
      { keys: ['three', 'b', 'c', 'd'], line: 4, column: 1 },
      { keys: ['plain'], line: 5, column: 1 },
    ],
  )
})

test('objects may stand without an equals sign and items on one line, with commas or without', () => {
  assert.deepEqual(plain('a { b { c = 1 d = 2, e = 3 } }'), { a: { b: { c: 1, d: 2, e: 3 } } })
})

test('an empty text is an empty object', () => {
  for (const text of ['', ' \n', '# only a comment', '\uFEFF', '{}', ' \n{ }\n']) assert.deepEqual(plain(text), {})
})

test('refusals tell what is wrong and where', () => {
  refused('path "a" {\n  x = 1\n', 'object expected closing RBRACE got: EOF', '3:1')
  refused('a = 1\n}', 'expected: IDENT | STRING got: RBRACE', '2:1')
  refused('path "a" = {}', 'nested object expected: LBRACE got: ASSIGN', '1:10')
  refused('lonely', `key 'lonely' expected start of object ('{') or assignment ('=')`, '1:7')
  refused('x = read', 'Unknown token: 1:5 IDENT read', '1:5')
  refused('x = ["a" "b"]', 'error parsing list, expected comma or list end, got: STRING', '1:10')
  refused('x = [', 'Unknown token: 1:6 EOF ', '1:6')
  refused('= 1', 'expected: IDENT | STRING got: ASSIGN', '1:1')
  refused('{{}}', 'expected: STRING got: LBRACE')
  refused('a = "x\ny"', 'literal not terminated', '1:5')
  refused('a = "x', 'literal not terminated', '1:5')
  refused('a = @', 'illegal character', '1:5')
  refused('a = "${"', 'literal not terminated', '1:5')
})

test('JSON: the same values, with order, repetition and places', () => {
  const text = String.raw`{
    "a": [1, -2.5e1, true, false, null, "ä\u00e4\/\ud83d\ude00 \"${'${x}'}"],
    "b": {"c": {}}, "b": 2
  }`
  const { items, json } = parsed(text)
  assert.equal(json, true)
  assert.deepEqual(items[0]?.value, [1, -25, true, false, null, 'ää/😀 "${x}'])
  assert.deepEqual(
    items.map(({ keys, line, column }) => [keys[0], line, column]),
    [
      ['a', 2, 5],
      ['b', 3, 5],
      ['b', 3, 21],
    ],
  )
})

test('JSON that is none is refused', () => {
  for (const text of [
    '{"a": 1,}',
    '{"a" 1}',
    '{"a": 1 "b": 2}',
    '{"a": [1 2]}',
    '{"a": x}',
    '{"a": 01}',
    '{"a": 0x1}',
    '{"a"',
  ]) {
    assert.equal(parseHcl(text).ok, false, text)
  }
  for (const text of [
    '{a: 1}',
    '{"a": 1} b',
    '{"a": 1} {}',
    '{"a": "\\a"}',
    '{"a": "\\x41"}',
    '{} # no',
    '{"a" = 1}',
    '{"a": "\n"}',
  ]) {
    assert.equal(parseHcl(text).ok, false, text)
  }
})

test('blocks of one name are the same in HCL and in every JSON form of it', () => {
  const forms = [
    'listener "tcp" { port = 1 }\nlistener "unix" { port = 2 }\nother = 3',
    '{"listener": {"tcp": {"port": 1}, "unix": {"port": 2}}, "other": 3}',
    '{"listener": [{"tcp": {"port": 1}}, {"unix": {"port": 2}}]}',
    '{"listener": [{"tcp": [{"port": 1}]}], "listener": {"unix": {"port": 2}}}',
  ]
  for (const form of forms) {
    const blocks = hclBlocks(parsed(form), 'listener', 1)
    assert.deepEqual(
      blocks.map(({ labels, body }) => [labels, body.items.map(({ keys, value }) => [keys[0], value])]),
      [
        [['tcp'], [['port', 1]]],
        [['unix'], [['port', 2]]],
      ],
    )
  }
})

test('a key called __proto__ is a key like any other', () => {
  for (const text of ['__proto__ { polluted = true }', '{"__proto__": {"polluted": true}}']) {
    const record = hclToPlain(parsed(text)) as Record<string, unknown>
    assert.deepEqual(Object.keys(record), ['__proto__'])
    assert.equal(Reflect.get({}, 'polluted'), undefined)
  }
})

test('depth and size have a bound', () => {
  const nested = (depth: number) => `a = ${'['.repeat(depth)}${']'.repeat(depth)}`
  assert.equal(parseHcl(nested(MAX_HCL_DEPTH)).ok, true)
  refused(nested(MAX_HCL_DEPTH + 1), 'too many levels')
  refused(nested(1_000_000), 'too many levels')
  refused('a {'.repeat(100_000), 'too many levels')
  refused(`{"a":${'['.repeat(100_000)}`, 'too many levels')
  refused('#'.repeat(MAX_HCL_CHARACTERS + 1), 'text is too long')
})

const sample = `# all there is
ui = true
listener "tcp" { address = "127.0.0.1:\${port}" tls = false }
path "a/+/\\u00e4*" {
  capabilities = ["read", "list",]
  allowed_parameters = { "a" = ["x*", 1.5e3, 0x1f], "*" = [] }
  text = <<-END
    one
    END
}
/* end */ n = -1
`

test('no piece and no mutation of a text makes it throw or hang', () => {
  const random = mulberry(1)
  const pick = (count: number) => Math.floor(random() * count)
  for (const text of [sample, JSON.stringify(hclToPlain(parsed(sample)), null, 1)]) {
    for (let length = 0; length <= text.length; length += 1) {
      parseHcl(text.slice(0, length))
      parseHcl(text.slice(length))
    }
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      '"',
      '=',
      ',',
      '\\',
      '\n',
      '<<E\n',
      '${',
      '/*',
      '\0',
      '\ud800',
      ':',
      '-',
      '0',
      'null',
    ]
    for (let round = 0; round < 5000; round += 1) {
      const at = pick(text.length)
      parseHcl(text.slice(0, at) + pieces[pick(pieces.length)]! + text.slice(at + pick(8)))
    }
  }
})

test('no junk makes it throw or hang', () => {
  const random = mulberry(2)
  for (let round = 0; round < 5000; round += 1) {
    const bytes = Buffer.from(Array.from({ length: round % 64 }, () => Math.floor(random() * 256)))
    parseHcl(bytes.toString('utf8'))
    parseHcl(`{"${bytes.toString('latin1')}`)
  }
})

test('long texts of one kind take time in proportion to their length', () => {
  const kinds = [
    ' ',
    '#\n',
    '"',
    '\\',
    '<<A\n',
    '/*/',
    '${',
    '1e',
    '0.',
    'a ',
    '[',
    'a={',
    '//',
    '-',
    'é',
    '"\\u00e4" ',
    'a=1\n',
  ]
  for (const kind of kinds) {
    const long = kind.repeat(Math.floor(200_000 / kind.length))
    const started = performance.now()
    for (const text of [long, `a = ${long}`, `a = "${long}`, `a = <<X\n${long}`, `{"a": ${long}`]) parseHcl(text)
    const tookMs = performance.now() - started
    // Five texts of 0.2 MB take milliseconds; what is not linear takes minutes.
    assert.ok(tookMs < 10_000, `${JSON.stringify(kind)}: ${tookMs} ms`)
  }
})

/** A small generator with a seed, so that a failure can be seen again. */
function mulberry(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
