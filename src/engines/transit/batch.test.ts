import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '#sdk/errors.ts'
import { batchReply, eachItem, itemsOf } from './batch.ts'

test('a long batch lets others have their turn', async () => {
  let turns = 0
  let running = true
  const others = () => {
    turns++
    if (running) setImmediate(others)
  }
  setImmediate(others)
  const items = Array.from({ length: 500 }, () => ({}))
  await eachItem(items, async () => {
    const end = performance.now() + 0.1
    while (performance.now() < end);
    return {}
  })
  running = false
  assert.ok(turns >= 4, `others had ${turns} turns in 50 ms`)
})

test('results stand in the order of the items, however long each took', async () => {
  const items = Array.from({ length: 100 }, (_, index) => ({ reference: `r${index}` }))
  const results = await eachItem(items, async (_item, index) => {
    await new Promise((resolve) => setTimeout(resolve, index % 7))
    return { index }
  })
  assert.deepEqual(
    results,
    items.map(({ reference }, index) => ({ index, reference })),
  )
})

test('what goes wrong on our side ends the batch and is not told as a fault of the item', async () => {
  const broken = () => Promise.reject(new ApiError('storage_failed', 'the disk is full'))
  await assert.rejects(eachItem([{}], broken), { code: 'storage_failed' })
  const refused = () => Promise.reject(new ApiError('invalid_request', 'no'))
  assert.deepEqual(await eachItem([{}], refused), [{ error: 'no', reference: '' }])
})

test('names with a meaning in JavaScript are names like others', () => {
  const items = itemsOf(JSON.parse('[{"__proto__":{"plaintext":"x"},"constructor":1}]'), { plaintext: 'string' })
  assert.equal(items.length, 1)
  const required = { name: 'plaintext', message: 'missing' }
  assert.throws(() => itemsOf(JSON.parse('[{"__proto__":{"plaintext":"x"}}]'), {}, required), /missing/)
})

test('the status of a batch says whether all, some or none failed', () => {
  const [good, bad] = [{ ciphertext: 'x' }, { error: 'no' }]
  assert.equal(batchReply([good, good]).status, undefined)
  assert.equal(batchReply([good, bad]).status, 400)
  assert.equal(batchReply([good, bad], 200).status, 200)
  assert.equal(batchReply([bad, bad], 200).status, 400)
})
