/** A CA in the middle of its work, killed again and again: what was acknowledged stays so. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MixServer } from '#test/mix/server.ts'
import { crlText } from './support.ts'

const ROUNDS = 5
const CLIENTS = 4
/** Of a round, before the kill. Spread, so that it meets other moments each time. */
const WORK_MS = 400

interface Book {
  issued: string[]
  revoked: string[]
  /** Asked for, with whatever answer. */
  sentToRevoke: Set<string>
}

/** Issues and revokes until the server is gone. */
async function work(server: MixServer, book: Book): Promise<void> {
  for (let count = 0; ; count += 1) {
    try {
      const made = await server.send('POST', 'pki/issue/web', { common_name: 'a.example.com' })
      if (made.status !== 200) return
      const serial: string = made.body.data.serial_number
      book.issued.push(serial)
      if (count % 2 === 1) continue
      book.sentToRevoke.add(serial)
      // By its lease or by itself: both put it on the list.
      const [where, body] =
        count % 4 === 0
          ? ['sys/leases/revoke', { lease_id: made.body.lease_id }]
          : ['pki/revoke', { serial_number: serial }]
      if ((await server.send('POST', where as string, body)).status < 300) book.revoked.push(serial)
    } catch {
      return
    }
  }
}

test('kill -9 loses no certificate and no revocation, and the list tells all of them', async () => {
  await using server = new MixServer()
  await server.initialize()
  await server.must('POST', 'sys/mounts/pki', { type: 'pki' })
  await server.must('POST', 'pki/root/generate/internal', { common_name: 'root', key_type: 'ec' })
  await server.must('POST', 'pki/roles/web', { allow_any_name: true, key_type: 'ec', generate_lease: true, ttl: '1h' })
  const book: Book = { issued: [], revoked: [], sentToRevoke: new Set() }
  let lastNumber = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const clients = Array.from({ length: CLIENTS }, () => work(server, book))
    await sleep(WORK_MS + round * 37)
    server.signal('SIGKILL')
    await server.exited()
    await Promise.all(clients)
    await server.start()
    await server.unseal()

    const listed = new Set<string>((await server.must('LIST', 'pki/certs')).body.data.keys)
    assert.deepEqual(
      book.issued.filter((serial) => !listed.has(serial)),
      [],
    )
    const text = await crlText((await server.must('GET', 'pki/crl/pem')).text)
    const told = [...text.matchAll(/Serial Number: ([0-9A-F]+)/g)].map(([, hex]) => hex!.toLowerCase())
    const onList = new Set(told.map((hex) => hex.replace(/(..)(?=.)/g, '$1:')))
    assert.deepEqual(
      book.revoked.filter((serial) => !onList.has(serial)),
      [],
    )
    assert.equal(onList.size, told.length)
    assert.deepEqual(
      [...onList].filter((serial) => !book.sentToRevoke.has(serial)),
      [],
    )
    const number = Number(/CRL Number:\s+(\d+)/.exec(text)![1])
    assert.ok(number >= lastNumber)
    lastNumber = number
  }
  assert.ok(book.revoked.length > ROUNDS && book.issued.length > 2 * ROUNDS, `${book.issued.length} issued`)
})
