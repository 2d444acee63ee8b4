/** What the composition promises beyond single requests. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { StrongroomNode } from '#boot/compose.ts'
import { tidyMounts } from '#boot/housekeeping.ts'
import { startServer } from '#test/server.ts'

test('the keys of a server that cannot unseal itself right after they were made are told all the same', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'strongroom-boot-'))
  const ledgerFolder = path.join(folder, 'ledger')
  await writeFile(ledgerFolder, 'in the way')
  const logged: string[] = []
  const node = await StrongroomNode.open({
    storage: { type: 'memory', options: {} },
    ledgerFolder,
    seal: { type: 'static', options: { current_key_id: 'one', current_key: randomBytes(32).toString('base64') } },
    defaultLeaseTtlSeconds: 3600,
    maxLeaseTtlSeconds: 3600,
    log: (text) => logged.push(text),
  })
  try {
    const none = { shares: 0, threshold: 0, storedShares: 0, recoveryShares: 1, recoveryThreshold: 1 }
    const { rootToken, recoveryShares } = await node.initialize(none)
    assert.match(rootToken, /^hvs\./)
    assert.equal(recoveryShares.length, 1)
    assert.equal(node.seal.status().sealed, true)
    assert.ok(logged.some((line) => line.startsWith('initialised, but unsealing failed')))
    await rm(ledgerFolder)
    await node.unsealAutomatically()
    assert.ok(await node.core.tokens.lookup(rootToken))
  } finally {
    await node.close()
    await rm(folder, { recursive: true })
  }
})

test('a mount that cannot be tidied does not keep the others from it', async () => {
  await using server = await startServer()
  const tidied: string[] = []
  for (const name of ['a', 'b', 'c']) {
    await server.write(`sys/mounts/${name}`, { type: 'kv' })
    const mounted = (await server.node.core.mounts.find(`${name}/`))!
    mounted.engine = {
      ...mounted.engine,
      tidy: async ({ path: at }) => {
        if (at === 'a/') throw new Error('broken')
        tidied.push(at)
      },
    }
  }
  await assert.rejects(tidyMounts(server.node.core.mounts), { message: 'a/: broken' })
  assert.deepEqual(tidied, ['b/', 'c/'])
})
