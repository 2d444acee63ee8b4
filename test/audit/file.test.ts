/** The file audit device. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { kind } from '#audit/file/device.ts'
import { auditDevices } from '#audit/registry.ts'
import { startWriter } from './writer.ts'

function newFile(t: TestContext): string {
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'strongroom-file-'))
  t.after(() => fs.rmSync(folder, { recursive: true }))
  return path.join(folder, 'audit.log')
}

const lines = (file: string) => fs.readFileSync(file, 'utf8').split('\n').slice(0, -1)
const mode = (file: string) => fs.statSync(file).mode & 0o777

test('it is known by its name', async () => {
  assert.equal((await auditDevices['file']!()).kind, kind)
})

test('lines are appended in order, after what is there', async (t) => {
  const file = newFile(t)
  fs.writeFileSync(file, 'earlier\n')
  const device = await kind.open({ file_path: file })
  await Promise.all(Array.from({ length: 100 }, (_, at) => device.write(`{"n":${at}}`)))
  await device.write('{"ü":1}')
  assert.deepEqual(lines(file), ['earlier', ...Array.from({ length: 100 }, (_, at) => `{"n":${at}}`), '{"ü":1}'])
  await device.close()
  await assert.rejects(device.write('{}'))
})

test('the old name of file_path is taken, and a prefix stands before each line', async (t) => {
  const file = newFile(t)
  const device = await kind.open({ path: file, prefix: 'audit: ' })
  await device.write('{}')
  await device.close()
  assert.deepEqual(lines(file), ['audit: {}'])
})

test('the mode is 0600 if none is given, that which is given, or left as it is', async (t) => {
  const file = newFile(t)
  for (const [given, expected] of [
    [undefined, 0o600],
    ['0640', 0o640],
    ['777', 0o666],
    ['0000', 0o666],
  ] as const) {
    await (await kind.open({ file_path: file, ...(given !== undefined && { mode: given }) })).close()
    assert.equal(mode(file), expected, given ?? 'none')
  }
})

test('options that cannot be met are refused when it is opened', async (t) => {
  const file = newFile(t)
  for (const [options, message] of [
    [{}, /file_path is required/],
    [{ file_path: '/no/such/folder/x' }, /^sanity check failed; unable to open "\/no\/such\/folder\/x" for writing: /],
    [{ file_path: path.dirname(file) }, /sanity check failed/],
    [{ file_path: file, mode: '9' }, /mode/],
    [{ file_path: file, mode: '01777' }, /mode/],
    [{ file_path: file, format: 'jsonx' }, /unknown format type "jsonx"/],
    [{ file_path: file, prefix: 'a\nb' }, /prefix/],
  ] as [Record<string, string>, RegExp][]) {
    await assert.rejects(kind.open(options), (error: any) => {
      assert.equal(error.code, 'invalid_request')
      assert.match(error.message, message)
      return true
    })
  }
})

test('after a rotation and a reload, lines go to the new file, and none is lost', async (t) => {
  const file = newFile(t)
  const device = await kind.open({ file_path: file })
  let next = 0
  let writing = true
  const writers = Array.from({ length: 8 }, async () => {
    while (writing) await device.write(`{"n":${next++}}`)
  })
  const rotated: string[] = []
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    rotated.push(`${file}.${round}`)
    fs.renameSync(file, rotated.at(-1)!)
    await device.reload()
    const { size } = fs.statSync(rotated.at(-1)!)
    await device.write(`{"n":${next++}}`)
    assert.equal(fs.statSync(rotated.at(-1)!).size, size)
  }
  writing = false
  await Promise.all(writers)
  await device.close()
  const all = [...rotated, file].flatMap(lines).map((line) => JSON.parse(line).n)
  assert.deepEqual(
    all.toSorted((a, b) => a - b),
    Array.from({ length: next }, (_, at) => at),
  )
})

test('a reload that fails leaves the device writing where it did', async (t) => {
  const file = newFile(t)
  const device = await kind.open({ file_path: file })
  fs.renameSync(file, `${file}.1`)
  fs.mkdirSync(file)
  await assert.rejects(device.reload())
  await device.write('{}')
  assert.deepEqual(lines(`${file}.1`), ['{}'])
  await device.close()
})

test('a full disk is told', async () => {
  const device = await kind.open({ file_path: '/dev/full' })
  await assert.rejects(device.write('{}'), /the disk of \/dev\/full is full/)
  assert.match(device.trouble()!, /is full/)
  await device.close()
})

test('of a write that is cut short, whole lines stay and are acknowledged, and it goes on when there is room', async (t) => {
  const file = newFile(t)
  await using writer = await startWriter('file', file)
  // Ten lines of 104 bytes at once, of which three and a half fit.
  writer.limitFiles(360)
  const cut = await writer.write(10, 90)
  assert.deepEqual(cut.kept, [true, true, true, false, false, false, false, false, false, false])
  assert.match(cut.trouble!, /cannot be written/)
  assert.equal(fs.statSync(file).size, 312)
  writer.limitFiles(undefined)
  const whole = await writer.write(10, 90)
  assert.ok(whole.kept.every(Boolean))
  assert.equal(whole.trouble, undefined)
  assert.equal(lines(file).length, 13)
})

test('discard takes everything and keeps nothing', async () => {
  const device = await kind.open({ file_path: 'discard' })
  await device.write('{}')
  await device.reload()
  assert.equal(device.trouble(), undefined)
  await device.close()
})

test('stdout writes to standard output', () => {
  const script = `
    const { kind } = await import('#audit/file/device.ts')
    const device = await kind.open({ file_path: 'STDOUT', prefix: '> ' })
    await Promise.all([device.write('{"a":1}'), device.write('{"b":2}')])
    await device.reload()
    await device.close()`
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' })
  assert.equal(output, '> {"a":1}\n> {"b":2}\n')
})
