/** Help: every path of every room answers it, to whoever has a token; paths that need sudo to whoever has that. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import test from 'node:test'
import { promisify } from 'node:util'
import { authMethods } from '#auth/registry.ts'
import { engines } from '#engines/registry.ts'
import type { Path } from '#sdk/engine.ts'
import { startServer } from '#test/server.ts'

/** What stands for anything is asked for by something. */
const addressOf = (pattern: string) => pattern.replaceAll(/[:*][a-z_]+/g, 'x')

/** A title, each method, and each field with what it is: nobody should have to read the code. */
function assertExplains(help: string, { operations }: Path, where: string): void {
  for (const [verb, { about, fields }] of Object.entries(operations)) {
    assert.match(about, /^[A-Z].{6,}[.?]$/s, `${where} ${verb}: what it does is a sentence`)
    assert.ok(help.includes(`: ${about}`), where)
    for (const [name, field] of Object.entries(fields)) {
      assert.match(field.about, /^.{3,}[.…]$/s, `${where} ${name}: what it is is a sentence`)
      assert.ok(help.includes(`    ${name} (${field.type}`) && help.includes(field.about), `${where} ${name}`)
    }
  }
}

test('every path of every kind of engine has help, with its methods and fields', async () => {
  await using server = await startServer({ secret: true })
  await server.write('sys/mounts/plain', { type: 'kv' })
  for (const type of Object.keys(engines)) {
    if (type !== 'cubbyhole') assert.equal((await server.write(`sys/mounts/new-${type}`, { type })).status, 204, type)
  }
  for (const type of Object.keys(authMethods)) {
    assert.equal((await server.write(`sys/auth/new-${type}`, { type })).status, 204, type)
  }
  const token = await server.login(['default'])
  const { mounts } = server.node.core
  const asked = new Set<string>()
  for (const { engine, mount, route } of [...(await mounts.all('secret')), ...(await mounts.all('auth'))]) {
    const top = await server.read(`${route.slice(0, -1)}?help=1`, token)
    assert.equal(top.status, 200, route)
    for (const path of engine.paths(mount.settings())) {
      const where = `${route}${addressOf(path.pattern)}`
      assert.ok(top.body.help.includes(`    ${route}${path.pattern}\n        ${path.about ?? ''}`), where)
      const answer = await server.read(`${where}?help=1`, path.sudo ? server.root : token)
      assert.equal(answer.status, 200, where)
      if (path.sudo) assert.equal((await server.read(`${where}?help=1`, token)).status, 403, where)
      assert.equal(answer.body.see_also, null)
      assertExplains(answer.body.help, path, where)
      asked.add(where)
    }
  }
  assert.ok(asked.size > 250, `${asked.size} paths`)
})

test('path-help prints the same, for every kind of engine', async () => {
  await using server = await startServer({ secret: true })
  const env = { PATH: process.env['PATH'], STRONGROOM_ADDR: server.address, STRONGROOM_TOKEN: server.root }
  const places: string[] = ['sys', 'identity', 'auth/token', 'cubbyhole', 'secret/data/app', 'sys/mounts/secret/tune']
  for (const type of Object.keys(engines).filter((each) => each !== 'cubbyhole')) {
    await server.write(`sys/mounts/new-${type}`, { type })
    places.push(`new-${type}`)
  }
  for (const type of Object.keys(authMethods)) {
    await server.write(`sys/auth/new-${type}`, { type })
    places.push(`auth/new-${type}`)
  }
  for (const place of places) {
    const { stdout, stderr } = await promisify(execFile)('bin/strongroom', ['path-help', place], { env })
    assert.equal(stderr, '')
    assert.equal(stdout.trimEnd(), (await server.read(`${place}?help=1`)).body.help.trimEnd(), place)
  }
})

test('what is answered before the unseal has help as well, sealed or not', async () => {
  await using server = await startServer()
  const { bare } = server.node.gate
  assert.ok(bare.length >= 5)
  for (const path of bare) {
    const answer = await server.read(`${addressOf(path.pattern)}?help=1`, null)
    assert.equal(answer.status, 200, path.pattern)
    assertExplains(answer.body.help, path, path.pattern)
  }
  await server.write('sys/seal', {})
  assert.equal((await server.read('sys/health?help=1', null)).status, 200)
})

test('help tells the bounds and choices that the decoder holds', async () => {
  await using server = await startServer({ secret: true })
  await server.write('sys/mounts/transit', { type: 'transit' })
  const { help } = (await server.read('sys/health?help=1', null)).body
  assert.match(help, /activecode \(integer, from 200 to 599\)/)
})

test('help needs a token, and changes nothing', async () => {
  await using server = await startServer({ secret: true })
  assert.equal((await server.read('sys/mounts?help=1', null)).status, 403)
  assert.equal((await server.send('DELETE', 'sys/mounts/secret?help=1')).status, 200)
  assert.equal((await server.read('sys/mounts/secret')).status, 200)
})
