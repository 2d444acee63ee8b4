/** Holds docs/reference equal to the code, both ways. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'
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
