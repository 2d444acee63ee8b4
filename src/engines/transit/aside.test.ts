import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, verify } from 'node:crypto'
import { test } from 'node:test'
import { Aside, aside, type Task } from './aside.ts'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
const digest = createHash('sha256').update('message').digest()
const task = { kind: 'ecdsa-sign', key: privateKey, type: 'ecdsa-p256', digest } as const satisfies Task

test('many signatures at once come back each to the one who asked', async () => {
  const digests = Array.from({ length: 50 }, (_, index) => createHash('sha256').update(`m${index}`).digest())
  const signatures = await Promise.all(digests.map((each) => aside.run({ ...task, digest: each })))
  for (const [index, signature] of signatures.entries()) {
    const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const
    assert.ok(verify('sha256', Buffer.from(`m${index}`), key, signature as Uint8Array))
    const check = {
      kind: 'ecdsa-verify',
      key: publicKey,
      type: 'ecdsa-p256',
      signature: signature as Uint8Array,
    } as const
    assert.equal(await aside.run({ ...check, digest: digests[index]! }), true)
    assert.equal(await aside.run({ ...check, digest: digests[(index + 1) % 50]! }), false)
  }
})

test('what cannot be done is told, and the thread goes on', async () => {
  const rsa = {
    kind: 'rsa-sign',
    key: privateKey,
    digest,
    hash: 'sha2-256',
    scheme: 'pkcs1v15',
    saltLength: 'auto',
  } as const
  await assert.rejects(aside.run(rsa), { code: 'internal', message: 'internal error' })
  assert.ok((await aside.run(task)) instanceof Uint8Array)
})

test('a thread that ends leaves nobody waiting, and the next one who asks gets another', async () => {
  for (const text of ['process.exit(1)', 'throw new Error("broken")']) {
    const broken = new Aside(new URL(`data:text/javascript,${encodeURIComponent(text)}`))
    for (let round = 0; round < 2; round++) {
      await assert.rejects(Promise.all([broken.run(task), broken.run(task)]), { code: 'internal' })
    }
  }
})

test('too many at once are refused', async () => {
  const silent = new Aside(new URL('data:text/javascript,setTimeout(() => process.exit(), 200)'))
  const waiting = Array.from({ length: 4096 }, () => silent.run(task))
  assert.throws(() => silent.run(task), { code: 'too_many_requests' })
  await Promise.allSettled(waiting)
})
