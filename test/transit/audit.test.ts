import assert from 'node:assert/strict'
import { test } from 'node:test'
import { base64, startTransit } from './support.ts'

test('with a ledger that cannot be written nothing is decrypted for anybody, and no key is made', async () => {
  await using server = await startTransit({ workers: 1 })
  await server.write('transit/keys/app', {})
  const plaintext = base64('a message')
  const { ciphertext } = (await server.write('transit/encrypt/app', { plaintext })).body.data
  const ledger = server.node.ledger!
  const write = ledger.write.bind(ledger)
  ledger.write = async () => {
    throw new Error('no space left on device')
  }
  const refused = [
    await server.write('transit/decrypt/app', { ciphertext }),
    await server.write('transit/encrypt/app', { plaintext }),
    await server.write('transit/encrypt/other', { plaintext }),
    await server.write('transit/hmac/app', { input: plaintext }),
    await server.write('transit/keys/app/rotate', {}),
    await server.write('transit/random', {}),
  ]
  for (const { status, text } of refused) {
    assert.equal(status, 500)
    assert.ok(!text.includes(plaintext) && !text.includes('"data"'), text)
  }
  ledger.write = write
  assert.equal((await server.write('transit/decrypt/app', { ciphertext })).body.data.plaintext, plaintext)
  assert.deepEqual((await server.list('transit/keys')).body.data, { keys: ['app'] })
  assert.equal((await server.read('transit/keys/app')).body.data.latest_version, 1)
})

test('what only computes does so while its request goes to the disk; what makes a key waits for it', async () => {
  await using server = await startTransit({ workers: 1 })
  await server.write('transit/keys/app', {})
  const mount = (await server.node.core.mounts.at('secret', 'transit'))!.mount
  const ledger = server.node.ledger!
  const write = ledger.write.bind(ledger)
  let held = 0
  let release!: () => void
  const open = new Promise<void>((resolve) => (release = resolve))
  ledger.write = async (line) => {
    held++
    await open
    return write(line)
  }
  const names = ['encrypt/app', 'encrypt/other'].map((path) => server.write(`transit/${path}`, { plaintext: 'b25l' }))
  const answered: string[] = []
  void Promise.race(names).then(() => answered.push('too soon'))
  // Two lines of the one that computes, one of the one that makes a key: then nothing moves until the disk has them.
  for (let tries = 0; held < 3 && tries < 1000; tries++) await new Promise((resolve) => setTimeout(resolve, 5))
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.deepEqual([held, answered, await mount.storage.list('key/')], [3, [], ['app']])
  release()
  for (const { status } of await Promise.all(names)) assert.equal(status, 200)
  assert.deepEqual(await mount.storage.list('key/'), ['app', 'other'])
  const lines = (await server.trail()).slice(-4)
  assert.equal(lines.filter(({ type }) => type === 'request').length, 2)
})
