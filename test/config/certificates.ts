/** Certificates made with openssl, in files: an authority, a server's for 127.0.0.1 and localhost, a client's. For tests only. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)

const DAYS = '2'
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']

/** Makes `ca.pem` with `ca-key.pem` in the folder. */
export async function makeAuthority(folder: string): Promise<void> {
  const extensions = [
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  ]
  const files = ['-keyout', 'ca-key.pem', '-out', 'ca.pem']
  await openssl(folder, [
    'req',
    '-x509',
    ...newKey,
    '-subj',
    '/CN=test authority',
    '-days',
    DAYS,
    ...extensions,
    ...files,
  ])
}

/** Makes `<name>.pem` with `<name>-key.pem`, signed by the authority in the same folder. */
export async function makeCertificate(folder: string, name: string, use: 'serverAuth' | 'clientAuth'): Promise<void> {
  await openssl(folder, ['req', ...newKey, '-subj', `/CN=${name}`, '-keyout', `${name}-key.pem`, '-out', `${name}.csr`])
  const names = use === 'serverAuth' ? 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' : ''
  await writeFile(path.join(folder, `${name}.ext`), `basicConstraints=CA:FALSE\nextendedKeyUsage=${use}\n${names}`)
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', DAYS, '-extfile', `${name}.ext`]
  await openssl(folder, ['x509', '-req', '-in', `${name}.csr`, ...signing, '-out', `${name}.pem`])
}

async function openssl(folder: string, args: readonly string[]): Promise<void> {
  await execute('openssl', args, { cwd: folder, timeout: 60_000 })
}
