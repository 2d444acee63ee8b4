/**
 * The crash test, by hand: kills a process that writes, again and again, and checks each time that all it was told to be
 * durable is there and nothing is half there.
 *
 *   bin/node test/storage/kill.ts [ROUNDS]
 */
import { temporaryFolder } from '#test/storage/folder.ts'
import { killRound } from '#test/storage/kill-sets.ts'

const rounds = Number(process.argv[2] ?? 20)
const folder = temporaryFolder()
const acknowledged: number[] = []
let total = 0
let opening = 0
try {
  for (let round = 1; round <= rounds; round += 1) {
    const done = await killRound({ type: 'sqlite', options: { path: folder.path } }, acknowledged)
    total += done.acknowledged
    if (done.acknowledged === 0) opening += 1
    if (round % 10 === 0 || round === rounds) console.log(`${round} kills, ${total} acknowledged changes checked`)
  }
  console.log(`none lost, none half there; ${opening} of the kills came before the first change`)
} finally {
  folder.remove()
}
