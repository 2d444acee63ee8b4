/** Help: every path of every room answers it, to whoever has a token; paths that need sudo to whoever has that. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer } from '#test/server.ts'

test('every path of every mount has help, with its methods and fields', async () => {
  await using server = await startServer({ secret: true })
  await server.write('sys/mounts/plain', { type: 'kv' })
  await server.write('sys/auth/approle', { type: 'approle' })
  const token = await server.login(['default'])
  const { mounts } = server.node.core
  let count = 0
  for (const { engine, mount, route } of [...(await mounts.all('secret')), ...(await mounts.all('auth'))]) {
    const top = await server.read(`${route.slice(0, -1)}?help=1`, token)
    assert.equal(top.status, 200, route)
    for (const { pattern, operations, sudo } of engine.paths(mount.settings())) {
      // What stands for anything is asked for by something.
      const where = `${route}${pattern.replaceAll(/[:*][a-z_]+/g, 'x')}`
      const answer = await server.read(`${where}?help=1`, sudo ? server.root : token)
      assert.equal(answer.status, 200, where)
      if (sudo) assert.equal((await server.read(`${where}?help=1`, token)).status, 403, where)
      assert.equal(answer.body.see_also, null)
      assert.match(answer.body.help, /(GET|LIST|SCAN|POST|PATCH|DELETE): \S/, where)
      for (const { about, fields } of Object.values(operations)) {
        assert.ok(about.length > 3 && answer.body.help.includes(about), where)
        for (const [name, field] of Object.entries(fields)) {
          assert.ok(
            answer.body.help.includes(`    ${name} (`) && answer.body.help.includes(field.about),
            `${where} ${name}`,
          )
        }
      }
      count += 1
    }
  }
  assert.ok(count > 100, `${count} paths`)
})

test('help needs a token, and changes nothing', async () => {
  await using server = await startServer({ secret: true })
  assert.equal((await server.read('sys/mounts?help=1', null)).status, 403)
  assert.equal((await server.send('DELETE', 'sys/mounts/secret?help=1')).status, 200)
  assert.equal((await server.read('sys/mounts/secret')).status, 200)
})
