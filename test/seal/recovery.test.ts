/** Keys of a server that unseals itself: recovery shares, and the root key without any. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { startServer, type TestServer } from '#test/server.ts'

const seal = { type: 'static', options: { current_key_id: 'k', current_key: '5e'.repeat(32) } } as const

async function selfUnsealing(recoveryShares: number) {
  const server = await startServer({ ready: false, seal })
  const recovery = { recovery_shares: recoveryShares, recovery_threshold: Math.min(recoveryShares, 2) }
  const { body } = await server.send('PUT', 'sys/init', recoveryShares > 0 ? recovery : {})
  const token: string = body.root_token
  await server.write('sys/mounts/kv', { type: 'kv' }, token)
  await server.write('kv/secret', { v: 'kept' }, token)
  return { server, token, recovery: (body.recovery_keys ?? []) as string[] }
}

/** Sealed by hand, such a server takes recovery shares. Left open in any case. */
async function opens(server: TestServer, token: string, shares: readonly string[]): Promise<boolean> {
  await server.node.sealNow()
  for (const key of shares) await server.send('PUT', 'sys/unseal', { key })
  const open = !server.node.seal.status().sealed
  if (!open) {
    await server.send('PUT', 'sys/unseal', { reset: true })
    await server.node.unsealAutomatically()
  }
  assert.equal((await server.read('kv/secret', token)).body.data.v, 'kept')
  return open
}

async function give(server: TestServer, where: string, shares: readonly string[], nonce: string) {
  let answer = await server.send('PUT', where, { key: shares[0], nonce }, { token: null })
  for (const key of shares.slice(1)) answer = await server.send('PUT', where, { key, nonce }, { token: null })
  return answer
}

test('present recovery shares make new ones; with verification only when those were given back', async () => {
  const { server, token, recovery } = await selfUnsealing(3)
  await using _ = server
  const where = 'sys/rekey-recovery-key'
  const first = { secret_shares: 4, secret_threshold: 3 }
  const { nonce } = (await server.send('PUT', `${where}/init`, first, { token: null })).body
  assert.equal((await server.read('sys/rekey/init', null)).body.started, false)
  const { body: made } = await give(server, `${where}/update`, recovery.slice(1), nonce)
  assert.equal(made.keys.length, 4)
  assert.equal(await opens(server, token, recovery), false)
  assert.equal(await opens(server, token, made.keys.slice(1)), true)

  const second = { secret_shares: 2, secret_threshold: 2, require_verification: true }
  const { nonce: next } = (await server.send('PUT', `${where}/init`, second, { token: null })).body
  const { body: last } = await give(server, `${where}/update`, made.keys.slice(1), next)
  const done = await give(server, `${where}/verify`, last.keys, last.verification_nonce)
  assert.equal(done.body.complete, true)
  assert.equal(await opens(server, token, made.keys), false)
  assert.equal(await opens(server, token, last.keys), true)
})

test('recovery shares let the root key change, no shares come of it, and they stay valid themselves', async () => {
  const { server, token, recovery } = await selfUnsealing(3)
  await using _ = server
  const start = (rest: object) =>
    server.send('PUT', 'sys/rekey/init', { secret_shares: 1, secret_threshold: 1, ...rest })
  for (const [rest, message] of [
    [{ pgp_keys: ['AAAA'] }, 'PGP key encryption not supported when using stored keys'],
    [{ backup: true }, 'key backup not supported when using stored keys'],
    [
      { require_verification: true },
      'requiring verification not supported when rekeying the barrier key with recovery keys',
    ],
  ] as const) {
    assert.deepEqual((await start(rest)).body.errors, [message])
  }
  const begun = (await start({ secret_shares: 5, secret_threshold: 3 })).body
  assert.deepEqual([begun.n, begun.t, begun.required], [1, 1, 2])
  const wrong = [recovery[0]!, recovery[1]!.replace(/^../, (byte) => (byte === '00' ? '01' : '00'))]
  const refused = await give(server, 'sys/rekey/update', wrong, begun.nonce)
  assert.match(refused.body.errors[0], /^recovery key verification failed/)
  const before = server.node.seal.rootKey!
  const { body: done } = await give(server, 'sys/rekey/update', recovery.slice(1), begun.nonce)
  assert.deepEqual([done.complete, done.keys, done.keys_base64], [true, [], []])
  assert.equal(server.node.seal.rootKey!.equals(before), false)
  assert.equal(await opens(server, token, []), false)
  assert.equal(await opens(server, token, recovery.slice(1)), true)
})

test('without recovery keys they are made at once, and the root key changes by sys/rotate/root alone', async () => {
  const { server, token } = await selfUnsealing(0)
  await using _ = server
  const body = { secret_shares: 3, secret_threshold: 2 }
  const root = await server.write('sys/rotate/root/init', body, token)
  assert.equal(root.status, 400)
  assert.match(root.body.errors[0], /sys\/rotate\/root/)
  assert.equal((await server.write('sys/rotate/root', {}, token)).status, 204)
  assert.equal((await server.write('sys/generate-root/attempt', {}, null)).status, 400)
  const { data } = (await server.write('sys/rotate/recovery/init', body, token)).body
  assert.deepEqual([data.complete, data.keys.length], [true, 3])
  assert.equal(await opens(server, token, data.keys.slice(1)), true)
  // From now on there is somebody to ask.
  const again = (await server.write('sys/rotate/recovery/init', body, token)).body.data
  assert.deepEqual([again.started, again.required], [true, 2])
})

test('the first recovery keys are made for nobody without sudo: who has them can make a root token', async () => {
  const { server, token } = await selfUnsealing(0)
  await using _ = server
  const body = { secret_shares: 1, secret_threshold: 1 }
  for (const asked of [body, { ...body, require_verification: true }]) {
    const { status, body: answer } = await server.write('sys/rekey-recovery-key/init', asked, null)
    assert.equal(status, 400)
    assert.match(answer.errors[0], /sys\/rotate\/recovery\/init/)
    assert.equal(answer.keys, undefined)
  }
  assert.equal((await server.read('sys/rekey-recovery-key/init', null)).body.started, false)
  assert.equal((await server.write('sys/rotate/recovery/init', body, null)).status, 403)
  const grant = (capabilities: string) => ({ policy: `path "sys/*" { capabilities = [${capabilities}] }` })
  await server.write('sys/policies/acl/operator', grant('"create", "read", "update"'), token)
  const operator = await server.write('auth/token/create', { policies: ['operator'] }, token)
  const own = operator.body.auth.client_token
  assert.equal((await server.write('sys/rotate/recovery/init', body, own)).status, 403)
  assert.equal((await server.read('sys/rotate/recovery/init', own)).body.data.started, false)
  await server.write('sys/policies/acl/operator', grant('"update", "sudo"'), token)
  assert.equal((await server.write('sys/rotate/recovery/init', { ...body, secret_threshold: 9 }, own)).status, 400)
  assert.equal((await server.write('sys/rotate/recovery/init', body, token)).body.data.keys.length, 1)
})
