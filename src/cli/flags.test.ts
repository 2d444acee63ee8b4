import assert from 'node:assert/strict'
import test from 'node:test'
import { UsageError } from './failure.ts'
import { type Flags, parseFlags } from './flags.ts'

const flags = {
  mount: { type: 'string', about: '' },
  namespace: { type: 'string', aliases: ['ns'], about: '' },
  force: { type: 'boolean', aliases: ['f'], default: false, about: '' },
  cas: { type: 'integer', default: -1, about: '' },
  ttl: { type: 'duration', about: '' },
  policy: { type: 'list', about: '' },
  metadata: { type: 'pairs', about: '' },
  method: { type: 'string', choices: ['patch', 'rw'], about: '' },
} as const satisfies Flags

const parse = (...words: string[]) => parseFlags(flags, words)

test('one dash or two, with = or the next word, are the same', () => {
  for (const words of [['-mount=a'], ['--mount=a'], ['-mount', 'a'], ['--mount', 'a']])
    assert.equal(parse(...words, 'key').flags.mount, 'a')
  assert.equal(parse('-ns', 'team').flags.namespace, 'team')
  assert.equal(parse('-mount=a=b', 'key').flags.mount, 'a=b')
  assert.equal(parse('-mount=', 'key').flags.mount, '')
})

test('a boolean never takes the next word', () => {
  assert.deepEqual(parse('-f', 'false').arguments, ['false'])
  assert.equal(parse('-force=false').flags.force, false)
  assert.equal(parse('-f').flags.force, true)
})

test('values are converted, repeated ones collected, defaults kept apart from what was given', () => {
  const parsed = parse(
    '-cas=0',
    '-policy=a',
    '-policy',
    'b',
    '-metadata=k=v=w',
    '-metadata=x=',
    '-ttl=1h30m',
    '-method=rw',
  )
  assert.deepEqual(parsed.flags, {
    force: false,
    cas: 0,
    policy: ['a', 'b'],
    metadata: { k: 'v=w', x: '' },
    ttl: '1h30m',
    method: 'rw',
  })
  assert.deepEqual([...parsed.given].sort(), ['cas', 'metadata', 'method', 'policy', 'ttl'])
  assert.equal(parse('-ttl=-1').flags.ttl, '-1')
})

test('known flags are understood after arguments, other dashes there are data with a warning, and -- ends flags', () => {
  const parsed = parse('path', 'a=b', '-cas=3', '-x=y', '-', '--', '-mount=z')
  assert.equal(parsed.flags.cas, 3)
  assert.deepEqual(parsed.arguments, ['path', 'a=b', '-x=y', '-', '-mount=z'])
  assert.deepEqual(parsed.suspects, ['-x=y'])
  assert.equal(parsed.flags.mount, undefined)
})

test('help is found anywhere', () => {
  for (const word of ['-h', '-help', '--help']) assert.equal(parse('path', word).help, true)
})

test('refused: unknown flags (with the one meant), missing and malformed values', () => {
  const refused: [string[], RegExp][] = [
    [['-mout=a'], /not defined: -mout \(did you mean -mount\?\)/],
    [['-zzzzzz'], /not defined: -zzzzzz$/],
    [['-mount'], /needs a value: -mount/],
    [['-cas=x'], /expected an integer/],
    [['-cas=1.5'], /expected an integer/],
    [['-ttl=soon'], /expected a duration/],
    [['-force=maybe'], /invalid boolean/],
    [['-metadata=x'], /name=value/],
    [['-method=put'], /one of patch, rw/],
  ]
  for (const [words, message] of refused) {
    assert.throws(
      () => parse(...words),
      (error: unknown) => error instanceof UsageError && message.test(error.message),
      words.join(' '),
    )
  }
})
