import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { putCertificate } from '#engines/pki/certificates.ts'
import { listOf, putList, putRevocation } from '#engines/pki/crl-store.ts'
import { openEngine } from './engine.ts'
import { openssl } from './support.ts'

type Bare = Awaited<ReturnType<typeof openEngine>>

/** @returns id of the issuer, which is that of its list */
async function makeCa(bare: Bare): Promise<string> {
  const { data } = await bare.write('root/generate/internal', { common_name: 'root', key_type: 'ec' })
  return String(data!['issuer_id'])
}

async function revokeMany({ mount }: Bare, crlId: string, count: number): Promise<string[]> {
  const serials = Array.from({ length: count }, () => `40${randomBytes(19).toString('hex')}`)
  for (let from = 0; from < count; from += 500) {
    await mount.storage.transact(async (transaction) => {
      for (const serial of serials.slice(from, from + 500)) {
        const about = {
          revoked_at_ms: mount.clock.now().getTime(),
          crl_id: crlId,
          issuer_id: crlId,
          not_after_ms: 4e12,
        }
        await putRevocation(transaction, serial, about)
      }
    })
  }
  return serials
}

async function told(
  bare: Bare,
  where = 'crl',
): Promise<{ serials: string[]; number: number; base: number | undefined }> {
  const { raw } = await bare.read(where)
  if (raw?.status === 204) return { serials: [], number: 0, base: undefined }
  const { out } = await openssl(
    { 'c.der': raw!.body as Buffer },
    'crl',
    '-inform',
    'DER',
    '-in',
    'c.der',
    '-noout',
    '-text',
  )
  const hex = (text: string | undefined) => (text === undefined ? undefined : Number(text))
  return {
    serials: [...out.matchAll(/Serial Number: ([0-9A-F]+)/g)].map(([, serial]) => serial!.toLowerCase()),
    number: hex(/CRL Number:\s*(\d+)/.exec(out)?.[1])!,
    base: hex(/Delta CRL Indicator: critical\s*(\d+)/.exec(out)?.[1]),
  }
}

/** The most items that were read while nobody else had a turn. */
async function readBetweenTurns({ mount }: Bare, work: () => Promise<unknown>): Promise<number> {
  const { storage } = mount
  let read = 0
  let most = 0
  let isDone = false
  mount.storage = {
    ...Object.fromEntries(
      ['moment', 'getShared', 'list', 'keys', 'update', 'put', 'delete', 'transact', 'below'].map((name) => [
        name,
        (...args: any[]) => (storage as any)[name](...args),
      ]),
    ),
    get: (key: string) => {
      if (key.startsWith('crl-item/')) read += 1
      return storage.get(key)
    },
  } as any
  const others = (async () => {
    while (!isDone) {
      await setImmediate()
      most = Math.max(most, read)
      read = 0
    }
  })()
  await work()
  isDone = true
  await others
  mount.storage = storage
  return Math.max(most, read)
}

test('a list of 12,000 is made in pages, beside the requests, and goes on from the last one', async () => {
  const bare = await openEngine()
  const crlId = await makeCa(bare)
  const first = await revokeMany(bare, crlId, 6000)
  const most = await readBetweenTurns(bare, () => bare.read('crl/rotate'))
  assert.ok(most > 0 && most <= 400, `${most} items were read before others had their turn`)
  assert.deepEqual((await told(bare)).serials, first)
  const second = await revokeMany(bare, crlId, 6000)
  await bare.read('crl/rotate')
  assert.deepEqual((await told(bare)).serials, [...first, ...second])
})

test('a long list that is behind is served as it is while the next is made', async () => {
  const bare = await openEngine()
  const crlId = await makeCa(bare)
  const first = await revokeMany(bare, crlId, 5001)
  await bare.read('crl/rotate')
  await revokeMany(bare, crlId, 1)
  assert.equal((await told(bare)).serials.length, first.length)
  for (let tries = 0; tries < 100 && (await told(bare)).serials.length === first.length; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.equal((await told(bare)).serials.length, first.length + 1)
})

test('what a crash left off the list is put there by the next reader, or by itself', async () => {
  for (const how of ['reader', 'itself'] as const) {
    const bare = await openEngine()
    const crlId = await makeCa(bare)
    const serials = await revokeMany(bare, crlId, 3)
    if (how === 'itself') await bare.tidy()
    assert.deepEqual((await told(bare)).serials, serials, how)
  }
})

test('with deltas, a list stays until it nears its end, and a delta tells what came since', async () => {
  const bare = await openEngine()
  const crlId = await makeCa(bare)
  await assert.rejects(bare.write('config/crl', { enable_delta: true }), /Delta CRLs cannot be enabled/)
  await bare.write('config/crl', { enable_delta: true, auto_rebuild: true, expiry: '48h' })
  const first = await revokeMany(bare, crlId, 2)
  await bare.read('crl/rotate')
  const complete = await told(bare)
  assert.deepEqual(complete.serials, first)
  const later = await revokeMany(bare, crlId, 2)
  await bare.tidy()
  assert.deepEqual((await told(bare)).serials, first)
  bare.pass(16 * 60)
  await bare.tidy()
  const delta = await told(bare, 'crl/delta')
  assert.deepEqual(delta.serials, later)
  assert.equal(delta.base, complete.number)
  assert.ok(delta.number > complete.number)
  assert.deepEqual((await told(bare)).serials, first)
  bare.pass(36 * 3600)
  await bare.tidy()
  const next = await told(bare)
  assert.deepEqual(next.serials, [...first, ...later])
  assert.ok(next.number > delta.number)
  await bare.read('crl/rotate-delta')
  assert.deepEqual((await told(bare, 'crl/delta')).serials, [])
})

test('of two lists in the making the later one stays, whichever is done first', async () => {
  const bare = await openEngine()
  const crlId = await makeCa(bare)
  const serials = await revokeMany(bare, crlId, 1500)
  await Promise.all(Array.from({ length: 10 }, () => bare.read('crl/rotate')))
  const list = await told(bare)
  assert.equal(list.serials.length, serials.length)
  const keys = await bare.mount.storage.keys('crl-part/')
  assert.deepEqual(keys, [`crl-part/${crlId}/${list.number}/0`])
})

test('a list with a lower number never takes the place of one with a higher', async () => {
  const bare = await openEngine()
  const crlId = await makeCa(bare)
  const { entry } = (await listOf(bare.mount.storage, 'crl', crlId))!
  const put = (number: number, bytes: string) =>
    bare.mount.storage.transact((transaction) =>
      putList(transaction, 'crl', crlId, { ...entry, number }, Buffer.from(bytes)),
    )
  await put(9, 'later')
  await put(8, 'earlier')
  assert.equal((await listOf(bare.mount.storage, 'crl', crlId))!.der.toString(), 'later')
})

test('tidying by itself: what is configured, when it is due', async () => {
  const bare = await openEngine()
  await makeCa(bare)
  await bare.write('roles/web', { allow_any_name: true, key_type: 'ec', ttl: '1h' })
  await bare.write('issue/web', { common_name: 'a.example.com' })
  await assert.rejects(bare.write('config/auto-tidy', { enabled: true }), /no tidy operations were requested/)
  await bare.write('config/auto-tidy', {
    enabled: true,
    tidy_cert_store: true,
    safety_buffer: 60,
    interval_duration: '1h',
  })
  const count = async () => (await bare.mount.storage.keys('cert/')).length
  await bare.tidy()
  assert.equal(await count(), 2)
  bare.pass(2 * 3600)
  await bare.tidy()
  assert.equal(await count(), 1)
  const status = (await bare.read('tidy-status')).data!
  assert.deepEqual([status['state'], status['cert_store_deleted_count']], ['Finished', 1])
  const { warnings } = await bare.write('tidy-cancel')
  assert.deepEqual(warnings, ['Tidy operation cannot be cancelled as none is currently running.'])
})

test('tidying takes out entries that are no certificates, and leaves those that are', async () => {
  const bare = await openEngine()
  const crlId = await makeCa(bare)
  const { storage } = bare.mount
  await storage.transact(async (transaction) => {
    const entry = { certificate: 'AAAA', issuer_id: crlId, crl_id: crlId, not_after_ms: 4e12 }
    putCertificate(transaction, '0a0b', entry)
  })
  await bare.write('tidy', { tidy_invalid_certs: true })
  for (let tries = 0; tries < 100 && (await storage.keys('cert/')).length > 1; tries += 1) await setImmediate()
  assert.equal((await storage.keys('cert/')).length, 1)
  assert.equal((await storage.keys('cert-end/')).length, 1)
  assert.ok(!(await storage.keys('cert/')).includes('cert/0a0b'))
})

test('lists of others: signed from what is given, and several made one', async () => {
  const bare = await openEngine()
  await makeCa(bare)
  const sign = async (fields: Record<string, unknown>) =>
    String((await bare.write('issuer/default/sign-revocation-list', fields)).data!['crl'])
  const text = async (crl: string) =>
    (await openssl({ 'c.pem': `${crl}\n` }, 'crl', '-in', 'c.pem', '-noout', '-text')).out
  const one = await sign({
    crl_number: 7,
    delta_crl_base_number: 3,
    revoked_certs: [
      {
        serial_number: '0a:0b',
        revocation_time: '2026-01-01T00:00:00Z',
        extensions: [{ id: '2.5.29.21', value: 'CgEB' }],
      },
    ],
    extensions: [{ id: '1.2.3.4', value: 'BQA=', critical: true }],
  })
  const said = await text(one)
  for (const part of [
    /Serial Number: 0A0B/,
    /Key Compromise/,
    /CRL Number:\s+7/,
    /Delta CRL Indicator: critical\s+3/,
    /1\.2\.3\.4: critical/,
  ]) {
    assert.match(said, part)
  }
  const two = await sign({ crl_number: 8, revoked_certs: [{ serial_number: '0a:0b' }, { serial_number: '0c' }] })
  const joined = await bare.write('issuer/default/resign-crls', { crl_number: 9, crls: [one, two] })
  const serials = [...(await text(String(joined.data!['crl']))).matchAll(/Serial Number: (\w+)/g)].map(
    ([, serial]) => serial,
  )
  assert.deepEqual(serials, ['0A0B', '0C'])
  const other = await openEngine()
  await makeCa(other)
  await assert.rejects(
    other.write('issuer/default/resign-crls', { crl_number: 1, crls: [one] }),
    /was not signed by the requested issuer/,
  )
  const refusals: [Record<string, unknown>, RegExp][] = [
    [{}, /crl_number parameter must be 0 or greater/],
    [{ crl_number: 1, delta_crl_base_number: 1 }, /must be less than crl_number/],
    [{ crl_number: 1, revoked_certs: [{}] }, /needs a serial_number/],
    [{ crl_number: 1, revoked_certs: [{ serial_number: '01', revocation_time: 'x' }] }, /could not be read/],
    [{ crl_number: 1, extensions: [{ id: '2.5.29.20', value: 'AgEB' }] }, /may not be given/],
    [{ crl_number: 1, next_update: '0s' }, /invalid value for next_update/],
  ]
  for (const [fields, message] of refusals) await assert.rejects(sign(fields), message)
  await assert.rejects(
    bare.write('issuer/default/resign-crls', { crl_number: 1, crls: ['x'] }),
    /failed parsing the CRL with index 0/,
  )
})
