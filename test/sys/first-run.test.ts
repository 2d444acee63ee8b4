/** `strongroom start` and `server -dev`, ended at the worst moment. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import type { MountEntry } from '#core/mounts/entry.ts'
import { startProgram } from '#test/program.ts'
import { freePort } from '#test/port.ts'
import { startServer } from '#test/server.ts'
import { eventually } from '#test/request/stage.ts'

async function temporary() {
  const folder = await mkdtemp(path.join(tmpdir(), 'strongroom-first-'))
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}

/** What a kill between making the keys and writing them leaves: a store that is initialised, and the mark. */
async function cutOffBeforeKeys(folder: string): Promise<void> {
  await using server = await startServer({ folder })
  assert.equal((await server.read('sys/mounts')).status, 200)
  await writeFile(path.join(folder, 'first-run'), '')
}

function start(folder: string) {
  const flags = ['start', `-data=${folder}`, '-address=127.0.0.1:0']
  return spawnSync('bin/strongroom', flags, { encoding: 'utf8', timeout: 20_000 })
}

test('a first run cut off before its keys were written says so, and does not look like a server', async () => {
  await using place = await temporary()
  await cutOffBeforeKeys(place.folder)
  const { status, stderr, stdout } = start(place.folder)
  assert.equal(status, 1)
  assert.match(stderr, /first run in .* was cut off before its keys were written/)
  assert.match(stderr, /Remove the folder and start again/)
  assert.equal(stdout, '')
  await rm(place.folder, { recursive: true })
  await using _ = disposing(await startProgram({ folder: place.folder }))
})

test('a first run cut off after its keys were written is finished by the next', async () => {
  await using place = await temporary()
  {
    await using server = await startServer({ folder: place.folder })
    await writeFile(path.join(place.folder, 'first-run'), '')
    await writeFile(path.join(place.folder, 'root-token'), `${server.root}\n`)
    await writeFile(path.join(place.folder, 'unseal-key'), `${server.unsealKey}\n`)
  }
  const program = await startProgram({ folder: place.folder })
  await using _ = disposing(program)
  assert.equal((await program.send('POST', 'secret/data/app', { data: { v: 1 } })).status, 200)
  assert.equal(existsSync(path.join(place.folder, 'first-run')), false)
})

test('a first run cut off while it made its first mount makes it anew', async () => {
  await using place = await temporary()
  {
    await using server = await startServer({ folder: place.folder })
    const mount = { type: 'kv', options: { version: '2' } }
    assert.equal((await server.write('sys/mounts/secret', mount)).status, 204)
    // As `enable` leaves it when it is killed between its two transactions.
    await server.node.seal
      .barrier!.storage('mount/')
      .update<MountEntry[]>('table', (table = []) =>
        table.map((each) => (each.path === 'secret/' ? { ...each, tainted: true } : each)),
      )
    await writeFile(path.join(place.folder, 'first-run'), '')
    await writeFile(path.join(place.folder, 'root-token'), `${server.root}\n`)
    await writeFile(path.join(place.folder, 'unseal-key'), `${server.unsealKey}\n`)
  }
  const program = await startProgram({ folder: place.folder })
  await using _ = disposing(program)
  assert.equal((await program.send('GET', 'sys/mounts')).body.data['secret/']?.type, 'kv')
  assert.equal((await program.send('POST', 'secret/data/app', { data: { v: 1 } })).status, 200)
  assert.equal((await program.send('GET', 'secret/data/app')).body.data.data.v, 1)
  assert.equal(existsSync(path.join(place.folder, 'first-run')), false)
})

test('killed at any moment of its first run, the next start works or says why not', async () => {
  for (const waitMs of [200, 350, 500, 800]) {
    await using place = await temporary()
    const port = await freePort()
    const flags = ['start', `-data=${place.folder}`, `-address=127.0.0.1:${port}`]
    const child = spawn('bin/strongroom', flags, { stdio: 'ignore' })
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lost = existsSync(path.join(place.folder, 'first-run')) && !existsSync(path.join(place.folder, 'unseal-key'))
    try {
      const program = await startProgram({ folder: place.folder })
      await using _ = disposing(program)
      assert.equal((await program.send('GET', 'sys/mounts')).body.data['secret/'].type, 'kv', `${waitMs} ms`)
    } catch (error) {
      if (!lost) throw error
      assert.match(start(place.folder).stderr, /Remove the folder and start again/)
    }
  }
})

test('without its unseal key a server starts sealed and says so', async () => {
  await using place = await temporary()
  const first = await startProgram({ folder: place.folder })
  for (const name of ['root-token', 'unseal-key']) {
    assert.equal((await stat(path.join(place.folder, name))).mode & 0o077, 0, name)
  }
  await first.stop()
  const key = (await readFile(path.join(place.folder, 'unseal-key'), 'utf8')).trim()
  await rm(path.join(place.folder, 'unseal-key'))
  const second = await startProgram({ folder: place.folder })
  await using _ = disposing(second)
  assert.equal((await second.send('GET', 'sys/health')).status, 503)
  assert.equal((await second.send('POST', 'sys/unseal', { key })).body.sealed, false)
  assert.equal((await second.send('GET', 'secret/config')).status, 200)
})

test('a second server on the same folder is refused', async () => {
  await using place = await temporary()
  await using _ = disposing(await startProgram({ folder: place.folder }))
  const { status, stderr } = start(place.folder)
  assert.equal(status, 1)
  assert.match(stderr, /^strongroom: /)
})

test('killed in the middle of disabling a mount, the server goes on with it at the next start', async () => {
  await using place = await temporary()
  const program = await startProgram({ folder: place.folder })
  const writes = Array.from({ length: 1500 }, (_, n) => n)
  await Promise.all(
    Array.from({ length: 30 }, async () => {
      for (let n = writes.pop(); n !== undefined; n = writes.pop()) {
        await program.send('POST', `secret/data/k${n}`, { data: { v: 1 } })
      }
    }),
  )
  const disabling = program.send('DELETE', 'sys/mounts/secret').catch(() => undefined)
  await eventually(async () => (await program.send('GET', 'secret/data/k1')).status === 404)
  await program.stop('SIGKILL')
  await disabling
  const key = (await readFile(path.join(place.folder, 'unseal-key'), 'utf8')).trim()
  await using server = await startServer({ folder: place.folder, ready: false })
  await server.node.unsealWith([Buffer.from(key, 'base64')])
  const store = server.node.seal.barrier!.storage('mount/')
  assert.equal((await server.read('secret/data/k1', program.token)).status, 404)
  await eventually(async () =>
    ((await store.get<MountEntry[]>('table')) ?? []).every((each) => each.path !== 'secret/'),
  )
  const uuids = new Set(((await store.get<MountEntry[]>('table')) ?? []).map(({ uuid }) => uuid))
  for (const name of await store.list('data/')) assert.ok(uuids.has(name.slice(0, -1)), 'nothing of the mount is left')
})

test('a dev server writes its token where command lines look for it, for the owner only, unless told not to', async () => {
  await using place = await temporary()
  const file = path.join(place.folder, '.vault-token')
  for (const [flags, written] of [
    [['-dev-no-store-token'], false],
    [[], true],
  ] as const) {
    const port = await freePort()
    const all = ['server', '-dev', '-dev-root-token-id=dev-root', `-dev-listen-address=127.0.0.1:${port}`, ...flags]
    const child = spawn('bin/strongroom', all, {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, HOME: place.folder },
    })
    for await (const chunk of child.stdout) if (String(chunk).includes('Root Token')) break
    child.kill('SIGKILL')
    assert.equal(existsSync(file), written)
  }
  assert.equal(await readFile(file, 'utf8'), 'dev-root')
  assert.equal((await stat(file)).mode & 0o777, 0o600)
})

function disposing(program: Awaited<ReturnType<typeof startProgram>>) {
  return { [Symbol.asyncDispose]: () => program.stop('SIGKILL') }
}
