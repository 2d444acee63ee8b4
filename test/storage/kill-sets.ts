/** What the program that is killed writes, and the check that a store holds all of it that was acknowledged. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { drivers } from '#storage/registry.ts'
import { type Program, startProgram } from '#test/storage/process.ts'

export const LOOPS = 48
export const KEPT_SETS = 20
const KEYS_A_SET = 4
/** From its start for some, so that kills hit the opening too, and from its first acknowledged change for most. */
const MAX_LIFE_MS = 500
const OPENING_SHARE = 0.2
const MAX_VALUE_BYTES = 6000

export function counterOf(loop: number): string {
  return `counter/${loop}`
}

export function keysOfSet(loop: number, number: number): string[] {
  return Array.from({ length: KEYS_A_SET }, (_, index) => `set/${loop}/${number}/${index}`)
}

/** Told by the key, so that a value of another write is noticed; sizes differ. */
export function valueOf(key: string): Uint8Array {
  const hash = createHash('sha256').update(key).digest()
  return Buffer.alloc(32 + (hash.readUInt32BE() % MAX_VALUE_BYTES), hash)
}

export interface Round {
  acknowledged: number
  killedAfterMs: number
}

export interface Target {
  type: 'sqlite' | 'postgres'
  options: Record<string, string>
}

export function startWriting({ type, options }: Target): Program {
  return startProgram(new URL('kill-program.ts', import.meta.url), [type, JSON.stringify(options)])
}

/** One life and death of the program over a store, and the check of what it left. `acknowledged` grows over the rounds. */
export async function killRound(target: Target, acknowledged: number[]): Promise<Round> {
  const program = startWriting(target)
  const killedAfterMs = Math.random() * MAX_LIFE_MS
  if (Math.random() > OPENING_SHARE) await program.line('ack')
  await new Promise((resolve) => setTimeout(resolve, killedAfterMs))
  program.process.kill('SIGKILL')
  const { signal, errors } = await program.ended
  assert.equal(signal, 'SIGKILL', `it ended by itself: ${errors}`)
  takeDown(program.lines, acknowledged)
  await checkStore(target, acknowledged)
  return { acknowledged: program.lines.length, killedAfterMs }
}

export function takeDown(lines: readonly string[], acknowledged: number[]): void {
  for (const line of lines) {
    const [word, loop, number] = line.split(' ')
    if (word === 'ack') acknowledged[Number(loop)] = Number(number)
  }
}

/** @param unknown  how many changes may have been made though nobody was told */
export async function checkStore({ type, options }: Target, acknowledged: number[], unknown = 1): Promise<void> {
  const driver = await (await drivers[type]()).open(options)
  const expected: string[] = []
  for (let loop = 0; loop < LOOPS; loop += 1) {
    const entry = await driver.get(counterOf(loop))
    const last = Number(entry ? Buffer.from(entry.value).toString() : '0')
    const known = acknowledged[loop] ?? 0
    assert.ok(last >= known, `loop ${loop}: change ${known} was acknowledged, and the store ends at ${last}`)
    assert.ok(
      last <= known + unknown,
      `loop ${loop}: one change was under way after ${known}, and the store has ${last}`,
    )
    // A change that was committed and not acknowledged counts from now on: the next round goes on from it.
    acknowledged[loop] = last
    for (let number = Math.max(1, last - KEPT_SETS + 1); number <= last; number += 1)
      expected.push(...keysOfSet(loop, number))
  }
  const found = await driver.scan('set/')
  assert.deepEqual(
    found.map(({ key }) => key).toSorted(),
    expected.toSorted(),
    'every change is there completely or not at all',
  )
  for (const { key, entry } of found) assert.ok(Buffer.from(entry.value).equals(valueOf(key)), `bytes of ${key}`)
  await driver.close()
}
