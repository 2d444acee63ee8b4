/** A certificate for one run of \`server -dev -dev-tls\`: P-256, signed by itself, for this machine's own names (RFC 5280). */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { bits, boolean, explicit, implicit, integer, octets, oid, sequence, set, time, utf8 } from '#lib/der.ts'

const VALID_DAYS = 30
const DAY_MS = 86_400_000

/** Writes certificate and key to a folder of their own and gives the files. */
export async function makeDevCertificate(): Promise<{ certFile: string; keyFile: string; folder: string }> {
  const { certificate, key } = selfSigned(new Date())
  const folder = await mkdtemp(path.join(tmpdir(), 'strongroom-tls-'))
  const certFile = path.join(folder, 'certificate.pem')
  const keyFile = path.join(folder, 'key.pem')
  await writeFile(certFile, certificate)
  await writeFile(keyFile, key, { mode: 0o600 })
  return { certFile, keyFile, folder }
}

function selfSigned(now: Date): { certificate: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = sequence(oid('1.2.840.10045.4.3.2')) // ecdsa-with-SHA256 (RFC 5758 §3.2)
  const name = sequence(set(sequence(oid('2.5.4.3'), utf8('strongroom development'))))
  const names = sequence(
    implicit(2, Buffer.from('localhost')),
    implicit(7, Buffer.from([127, 0, 0, 1])),
    implicit(7, Buffer.from([...Array<number>(15).fill(0), 1])),
  )
  const extensions = sequence(
    sequence(oid('2.5.29.19'), boolean(true), octets(sequence(boolean(true)))), // basicConstraints: CA, its own
    sequence(oid('2.5.29.17'), octets(names)),
    sequence(oid('2.5.29.37'), octets(sequence(oid('1.3.6.1.5.5.7.3.1')))), // serverAuth
  )
  const toBeSigned = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(randomBytes(16)),
    algorithm,
    name,
    sequence(time(new Date(now.getTime() - DAY_MS)), time(new Date(now.getTime() + VALID_DAYS * DAY_MS))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    explicit(3, extensions),
  )
  const der = sequence(toBeSigned, algorithm, bits(sign('sha256', toBeSigned, privateKey)))
  const base64 = der.toString('base64').replace(/(.{64})(?=.)/g, '$1\n')
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}
