/**
 * 150 random roles and 1,800 requests under them, with what another server of this API answered: accepted or refused with the
 * text, and what the certificate then says. Data: test/data/pki-roles.jsonl.gz.
 */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import { gunzipSync } from 'node:zlib'
import { startServer } from '#test/server.ts'

interface Recorded {
  role: Record<string, unknown>
  role_status: number
  requests: {
    request: Record<string, unknown>
    status: number
    errors?: string[]
    certificate?: { subject?: string; san?: string; ca: boolean; eku?: string[]; seconds: number }
  }[]
}

const recorded = gunzipSync(readFileSync('test/data/pki-roles.jsonl.gz'))
  .toString('utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line) as Recorded)

test('1,800 requests under 150 random roles are answered as recorded', async () => {
  await using server = await startServer()
  await server.write('sys/mounts/pki', { type: 'pki' })
  const root = await server.write('pki/root/generate/internal', { common_name: 'root.test', key_type: 'ec' })
  assert.equal(root.status, 200)
  const differences: unknown[] = []
  let count = 0
  for (const { role, role_status: status, requests } of recorded) {
    const made = await server.write('pki/roles/r', role)
    assert.equal(made.status, status)
    for (const { request, ...wanted } of requests) {
      count += 1
      const given = told(await server.write('pki/issue/r', request))
      if (JSON.stringify(given) !== JSON.stringify(inOrder(wanted))) differences.push({ role, request, wanted, given })
    }
  }
  assert.equal(count, 1800)
  assert.deepEqual(differences.slice(0, 5), [], `${differences.length} differ`)
})

function inOrder({ status, errors, certificate }: Omit<Recorded['requests'][number], 'request'>): unknown {
  if (!certificate) return { status, errors }
  const { subject, san, ca, eku, seconds } = certificate
  return { status, certificate: { subject, san, ca, eku, seconds } }
}

function told({ status, body }: { status: number; body: any }): unknown {
  if (status !== 200) return { status, errors: body.errors }
  const certificate = new X509Certificate(body.data.certificate)
  const seconds = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 1000
  const { subject, subjectAltName: san, ca, keyUsage: eku } = certificate
  return { status, certificate: { subject: subject || undefined, san, ca, eku, seconds } }
}
