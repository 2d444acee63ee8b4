/**
 * The long form of the test: bin/node test/mix/mix.ts [ROUNDS]
 */
import { mixRounds } from './rounds.ts'

const result = await mixRounds(Number(process.argv[2] ?? 100), console.log)
console.log({ ...result, problems: result.problems.slice(0, 20), problemCount: result.problems.length })
if (result.problems.length > 0) process.exitCode = 1
