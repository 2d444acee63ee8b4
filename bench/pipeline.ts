/**
 * What a KV read costs behind HTTP: the whole pipeline with barrier, policies and ledger, called 32 at once in this process.
 *
 *     bin/node bench/pipeline.ts [requests]
 */
import { randomUUID } from 'node:crypto'
import { startServer } from '#test/server.ts'
import type { Incoming } from '#request/incoming.ts'

const requests = Number(process.argv[2] ?? 50_000)
const server = await startServer({ secret: true, storage: 'sqlite' })
await server.send('PUT', 'sys/policies/acl/app', { policy: 'path "secret/data/app/*" { capabilities = ["read"] }' })
for (let n = 0; n < 100; n += 1)
  await server.write(`secret/data/app/${n}`, { data: { password: `correct horse battery staple ${n}` } })
const token = await server.login(['app'])

function incoming(n: number): Incoming {
  return {
    id: randomUUID(),
    operation: 'read',
    path: `secret/data/app/${n % 100}`,
    token,
    namespace: '',
    body: {},
    bodyText: '',
    headers: {},
    remoteAddress: '127.0.0.1',
    remotePort: 40_000,
    wrapTtlSeconds: undefined,
  }
}

for (const round of ['warm-up', 'measured', 'measured', 'measured']) {
  const before = process.cpuUsage()
  let sent = 0
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      while (sent < requests) await server.node.gate.handle(incoming(sent++))
    }),
  )
  const { user, system } = process.cpuUsage(before)
  console.log(
    `${round}: ${((user + system) / requests).toFixed(1)} µs of CPU a request, of which ${(system / requests).toFixed(1)} in the kernel`,
  )
}
await server.stop()
process.exit(0)
