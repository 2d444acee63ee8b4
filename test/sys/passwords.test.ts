/** `sys/policies/password` and what engines are lent of it. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer } from '#test/server.ts'

const digits = 'length = 12\nrule "charset" { charset = "0123456789" }'
const where = 'sys/policies/password'

test('a password policy is written, plain or in base64, read, listed, used and deleted', async () => {
  await using server = await startServer()
  assert.equal((await server.list(where)).status, 404)
  assert.equal((await server.write(`${where}/digits`, { policy: digits })).status, 204)
  const encoded = Buffer.from(digits).toString('base64')
  assert.equal((await server.send('PUT', `${where}/again`, { policy: encoded })).status, 204)
  assert.deepEqual((await server.read(`${where}/again`)).body.data, { policy: digits })
  assert.deepEqual((await server.list(where)).body.data, { keys: ['again', 'digits'] })
  const made = (await server.read(`${where}/digits/generate`)).body.data
  assert.deepEqual(Object.keys(made), ['password'])
  assert.match(made.password, /^\d{12}$/)
  assert.equal((await server.delete(`${where}/digits`)).status, 204)
  assert.equal((await server.delete(`${where}/digits`)).status, 204)
  for (const path of [`${where}/digits`, `${where}/digits/generate`]) {
    const answer = await server.read(path)
    assert.deepEqual([answer.status, answer.body], [404, { errors: ['policy does not exist'] }])
  }
})

test('a policy that is wrong or cannot be fulfilled is not kept', async () => {
  await using server = await startServer()
  const all = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
  for (const [policy, text] of [
    [undefined, 'missing policy'],
    ['length = 20', 'invalid password policy: 1 error occurred:\n\t* no charset specified\n\n'],
    [digits.replace('12', '3'), 'passwords must be between 4 and 100 characters'],
    [digits.replace('12', '101'), 'passwords must be between 4 and 100 characters'],
    [
      `length = 100\nrule "charset" { charset = "${all}" }\nrule "charset" { charset = "!" min-chars = 90 }`,
      'unable to generate password from provided policy in 1s: are the rules impossible?',
    ],
  ] as const) {
    const answer = await server.write(`${where}/bad`, { policy })
    assert.deepEqual([answer.status, answer.body], [400, { errors: [text] }])
  }
  assert.equal((await server.read(`${where}/bad`)).status, 404)
})

test('policies decide who may generate, and nothing is answered without a token', async () => {
  await using server = await startServer()
  await server.write(`${where}/digits`, { policy: digits })
  await server.write('sys/policies/acl/maker', {
    policy: `path "${where}/+/generate" { capabilities = ["read"] }`,
  })
  const maker = await server.login(['maker'])
  assert.equal((await server.read(`${where}/digits/generate`, maker)).status, 200)
  assert.equal((await server.read(`${where}/digits`, maker)).status, 403)
  assert.equal((await server.read(`${where}/digits/generate`, null)).status, 403)
})

test('the password is in no audit line', async () => {
  await using server = await startServer()
  await server.write(`${where}/digits`, { policy: digits })
  const { password } = (await server.read(`${where}/digits/generate`)).body.data
  assert.ok(!JSON.stringify(await server.trail()).includes(password))
})

test('a mounted engine is lent a generator', async () => {
  await using server = await startServer({ secret: true })
  await server.write(`${where}/digits`, { policy: digits })
  const { mount } = (await server.node.core.mounts.at('secret', 'secret'))!
  assert.match(await mount.passwords!.generate('digits'), /^\d{12}$/)
  assert.match(await mount.passwords!.generate(), /^[a-zA-Z0-9-]{20}$/)
  await assert.rejects(mount.passwords!.generate('none'), { code: 'not_found' })
})
