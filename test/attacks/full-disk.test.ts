/** A disk that takes no more: the server refuses, says so, loses nothing, and goes on by itself. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import test from 'node:test'
import { startProgram } from '#test/program.ts'

const big = 'x'.repeat(200_000)

test('at the limit of its files the server refuses, says so in health, and goes on when there is room', async () => {
  // In units of 512 bytes. Only the soft limit, so that it can be raised again from outside.
  const program = await startProgram({ shell: 'ulimit -S -f 8192' })
  try {
    const kept: number[] = []
    let refused: { status: number; text: string } | undefined
    for (let n = 0; n < 200 && !refused; n += 1) {
      const answer = await program.send('POST', `secret/data/s${n}`, { data: { value: `${n} ${big}` } })
      if (answer.status === 200) kept.push(n)
      else refused = answer
    }
    assert.ok(kept.length > 5, `only ${kept.length} were kept`)
    assert.equal(refused?.status, 500)
    assert.match(refused.text, /disk|space|store/i)
    assert.doesNotMatch(refused.text, /xxx/)
    const health = await program.send('GET', 'sys/health')
    assert.ok(health.body.issues.length > 0, health.text)
    const { data } = (await program.send('GET', `secret/data/s${kept[0]}`)).body
    assert.equal(data.data.value, `${kept[0]} ${big}`)

    execFileSync('prlimit', [`--pid=${program.process.pid}`, '--fsize=unlimited:'])
    assert.equal((await program.send('POST', 'secret/data/after', { data: { value: 'room' } })).status, 200)
    assert.equal((await program.send('GET', 'sys/health')).body.issues, undefined)
    for (const n of kept) {
      assert.equal((await program.send('GET', `secret/data/s${n}`)).body.data.data.value.length, `${n} ${big}`.length)
    }
  } finally {
    await program.stop()
  }
})

test('with a ledger that is at the limit nothing is carried out, and health answers 503', async () => {
  const program = await startProgram()
  try {
    assert.equal((await program.send('POST', 'secret/data/app', { data: { v: 1 } })).status, 200)
    // Below what the ledger has already: not one more line fits.
    execFileSync('prlimit', [`--pid=${program.process.pid}`, '--fsize=512:'])
    const answer = await program.send('GET', 'secret/data/app')
    assert.equal(answer.status, 500)
    assert.equal(answer.body.data, undefined)
    assert.equal((await program.send('GET', 'sys/health')).status, 503)
    execFileSync('prlimit', [`--pid=${program.process.pid}`, '--fsize=unlimited:'])
    assert.deepEqual((await program.send('GET', 'secret/data/app')).body.data.data, { v: 1 })
    assert.equal((await program.send('GET', 'sys/health')).status, 200)
  } finally {
    await program.stop()
  }
})
