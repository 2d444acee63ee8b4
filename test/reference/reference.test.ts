/** Holds docs/reference equal to the code, both ways. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
import { effectOf } from '#boot/config-keys.ts'
import { blocks } from './configuration.ts'
import { allPages } from './pages.ts'

const RENEW = 'bin/node test/reference/renew.ts renews it'

const pages = await allPages()

for (const { file, text } of pages) {
  test(`${file} says what the code says`, () => {
    assert.ok(existsSync(file), `${file} is not there: ${RENEW}`)
    // Told as the first line that differs: a page is longer than a terminal.
    const [written, real] = [readFileSync(file, 'utf8').split('\n'), text.split('\n')]
    const at = real.findIndex((line, index) => line !== written[index])
    assert.deepEqual(written.slice(at, at + 3), real.slice(at, at + 3), `${file}:${at + 1} is stale: ${RENEW}`)
    assert.equal(written.length, real.length, `${file} is stale: ${RENEW}`)
  })
}

test('the reference has no page that nothing stands for', () => {
  const there = globSync('docs/reference/**/*.md').map((file) => file.replaceAll(path.sep, '/'))
  assert.deepEqual(there.toSorted(), pages.map(({ file }) => file).toSorted(), RENEW)
})

test('every variable that a command reads is on the page of the command line', () => {
  const page = readFileSync('docs/reference/cli.md', 'utf8')
  const read = globSync('src/cli/**/*.ts').flatMap((file) =>
    Array.from(readFileSync(file, 'utf8').matchAll(/\b(?:switchV|v)ariable(?:Name)?\('(\w+)'\)/g), ([, name]) => name!),
  )
  assert.ok(read.length >= 10)
  assert.deepEqual(
    [...new Set(read)].filter((name) => !page.includes(`| \`${name}\` |`)),
    [],
  )
})

test('every key that the configuration is said to have is read somewhere', () => {
  const tables = ['config-keys.ts', 'listener-keys.ts', 'stanza-keys.ts'].map((name) => `src/boot/${name}`)
  const code = globSync('src/{boot,audit,core/audit,storage}/**/*.ts')
    .filter((file) => !tables.includes(file) && !file.endsWith('.test.ts'))
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n')
  for (const { title, keys } of blocks) {
    for (const name of Object.keys(keys.used)) {
      const read = code.includes(`'${name}'`) || code.includes(`'${name.replaceAll('_', '-')}'`)
      assert.ok(read, `${title}: ${name}`)
      assert.ok(!keys.meaningless.has(name) && !keys.withoutEffect.has(name), `${title}: ${name} is said twice`)
    }
  }
})

test('keys are known by name or by what they begin with', () => {
  const spread = { used: { a_b: { about: '' } }, meaningless: new Set(['c']), withoutEffect: new Set(['d_*', 'e']) }
  const effects = ['a_b', 'c', 'd_x_y', 'e', 'd', 'a', 'constructor'].map((name) => effectOf(spread, name))
  assert.deepEqual(effects, ['used', 'meaningless', 'none', 'none', 'unknown', 'unknown', 'unknown'])
})
