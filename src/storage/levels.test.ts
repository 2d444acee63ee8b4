import assert from 'node:assert/strict'
import test from 'node:test'
import { endOf, seek } from '#storage/keys.ts'
import { listLevel, type Range } from '#storage/levels.ts'
import { chunksOf } from '#storage/reads.ts'

/** Sorted keys that count how many of them were read. */
function counting(keys: readonly string[]) {
  let read = 0
  return {
    read: () => read,
    keysIn: ({ from, to }: Range, count: number) => {
      const start = seek(keys, from)
      const end = Math.min(to === undefined ? keys.length : seek(keys, to), start + count)
      read += Math.max(0, end - start)
      return keys.slice(start, end)
    },
  }
}

function inFolder(folder: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${folder}/${String(index).padStart(6, '0')}`)
}

test('a folder with very many entries costs the listing above it one chunk', () => {
  const source = counting(['a', ...inFolder('huge', 200_000), 'z'])
  assert.deepEqual(listLevel(chunksOf(source), '', undefined), ['a', 'huge/', 'z'])
  assert.ok(source.read() < 500, `${source.read()} keys read`)
})

test('many large folders cost a few keys each', () => {
  const folders = Array.from({ length: 200 }, (_, index) => `f${String(index).padStart(3, '0')}`)
  const source = counting(folders.flatMap((folder) => inFolder(folder, 1000)))
  assert.deepEqual(
    listLevel(chunksOf(source), '', undefined),
    folders.map((folder) => `${folder}/`),
  )
  assert.ok(source.read() < folders.length * 12, `${source.read()} keys read`)
})

test('a page costs what it shows, wherever it begins', () => {
  const source = counting(inFolder('flat', 100_000))
  assert.equal(listLevel(chunksOf(source), 'flat/', { after: '050000', limit: 10 }).length, 10)
  assert.ok(source.read() <= 10, `${source.read()} keys read`)
})

test('a folder ends where the first text after all of its keys begins', () => {
  assert.equal(endOf('a/'), 'a0')
  assert.equal(endOf(''), undefined)
})
