/** A program for file.test.ts: writes ten lines at once to a file device each time it is told to, and says which were kept. */
import { createInterface } from 'node:readline'
import { kind } from '#audit/file/device.ts'

const device = await kind.open({ file_path: process.argv[2]! })
console.log('ready')
for await (const _ of createInterface(process.stdin)) {
  const lines = Array.from({ length: 10 }, () => device.write(`{"x":"${'y'.repeat(92)}"}`))
  const results = await Promise.allSettled(lines)
  console.log(JSON.stringify({ kept: results.map(({ status }) => status === 'fulfilled'), trouble: device.trouble() }))
}
process.exit(0)
