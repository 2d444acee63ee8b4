/**
 * The long form of the test: bin/node test/mix/mix.ts [ROUNDS [WORKERS]]
 */
import { mixRounds } from './rounds.ts'

const result = await mixRounds(Number(process.argv[2] ?? 100), {
  tell: console.log,
  workers: Number(process.argv[3] ?? 1),
})
console.log({ ...result, problems: result.problems.slice(0, 20), problemCount: result.problems.length })
if (result.problems.length > 0) process.exitCode = 1
