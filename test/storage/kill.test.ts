import test from 'node:test'
import { temporaryFolder } from '#test/storage/folder.ts'
import { killRound } from '#test/storage/kill-sets.ts'

test('a server killed at any moment has kept every acknowledged change, and no half of one', async (context) => {
  const folder = temporaryFolder()
  context.after(folder.remove)
  const acknowledged: number[] = []
  for (let round = 0; round < 6; round += 1)
    await killRound({ type: 'sqlite', options: { path: folder.path } }, acknowledged)
})
