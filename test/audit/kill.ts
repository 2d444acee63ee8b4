/**
 * The long form of the crash test: bin/node test/audit/kill.ts [rounds]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { killRounds } from './killRounds.ts'

const folder = await mkdtemp(path.join(tmpdir(), 'strongroom-kill-'))
try {
  const result = await killRounds(path.join(folder, 'ledger'), Number(process.argv[2] ?? 200))
  console.log(result)
  if (result.problems.length > 0) process.exitCode = 1
} finally {
  await rm(folder, { recursive: true })
}
