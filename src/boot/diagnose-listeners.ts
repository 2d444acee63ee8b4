/** A listener's address and certificates. */
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { parseAddress, type ListenerOptions, type TlsOptions } from '#http/options.ts'
import type { Stanza } from './config.ts'
import { fail, type Finding, ok, warn } from './diagnosis.ts'
import { listenerOptions } from './listeners.ts'

const DAY_MS = 24 * 3600 * 1000
const SOON_DAYS = 30
const LEAST_RSA_BITS = 2048

/** @param running  whether the address may be taken by the very server that this is about */
export async function diagnoseListener(stanza: Stanza, running: boolean): Promise<Finding[]> {
  let options: ListenerOptions
  try {
    options = listenerOptions(stanza)
  } catch (error) {
    return [fail('Options', error instanceof Error ? error.message : String(error), 'Mend that and run this again.')]
  }
  return [await addressFinding(options.address, running), ...(options.tls ? tlsFindings(options.tls) : plain(options))]
}

function plain({ address }: ListenerOptions): Finding[] {
  const parsed = parseAddress(address)
  if ('path' in parsed) return []
  const near = ['localhost', '::1'].includes(parsed.host ?? '') || parsed.host?.startsWith('127.')
  if (near) return [ok('TLS', 'off, and only this machine can connect')]
  return [warn('TLS', 'off: tokens and secrets travel in clear text', 'Set tls_cert_file and tls_key_file.')]
}

async function addressFinding(address: string, running: boolean): Promise<Finding> {
  const parsed = parseAddress(address)
  if ('path' in parsed) return socketFinding(parsed.path)
  const probe = createServer()
  try {
    const listening = once(probe, 'listening')
    probe.listen({ port: parsed.port, ...(parsed.host !== undefined && { host: parsed.host }), exclusive: true })
    await listening
    return ok('Address', `${address} is free`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE' && running)
      return ok('Address', `${address} is taken; a server runs with this configuration's data`)
    const why = {
      EADDRINUSE: ['is taken by another program', 'Choose another address, or stop that program (ss -ltnp).'],
      EACCES: [
        'needs rights that this user lacks',
        'Choose a port from 1024 on, or AmbientCapabilities=CAP_NET_BIND_SERVICE.',
      ],
      EADDRNOTAVAIL: ['is no address of this machine', 'Choose one of `ip addr`, or 0.0.0.0 for all.'],
      ENOTFOUND: ['is a name that cannot be resolved', 'Give an address.'],
    }[code ?? ''] ?? [`cannot be listened on: ${code}`, 'Choose another address.']
    return fail('Address', `${address} ${why[0]}`, why[1]!)
  } finally {
    probe.close()
  }
}

function socketFinding(file: string): Finding {
  const folder = path.dirname(path.resolve(file))
  const there = statSync(folder, { throwIfNoEntry: false })
  if (!there?.isDirectory()) return fail('Address', `${folder} is not there`, `install -d -m 750 -o … ${folder}`)
  const taken = statSync(file, { throwIfNoEntry: false })
  if (taken && !taken.isSocket()) return fail('Address', `${file} is no socket`, 'Move that file away.')
  return ok('Address', file)
}

function tlsFindings({ certFile, keyFile, clientCaFile }: TlsOptions): Finding[] {
  const chain = certificatesIn(certFile)
  return [
    ...chain.map((certificate, at) =>
      expiry(at === 0 ? 'Certificate' : `Certificate ${at + 1} of the chain`, certificate),
    ),
    ...names(chain[0]!),
    chainFinding(chain),
    strength(chain[0]!),
    keyPermissions(keyFile),
    ...(clientCaFile ? certificatesIn(clientCaFile).map((each) => expiry('Client CA', each)) : []),
  ]
}

function certificatesIn(file: string): X509Certificate[] {
  const blocks = readFileSync(file, 'latin1').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.map((block) => new X509Certificate(block))
}

function expiry(name: string, { validFromDate, validToDate }: X509Certificate): Finding {
  const days = Math.floor((validToDate.getTime() - Date.now()) / DAY_MS)
  if (days < 0) return fail(name, `expired ${-days} days ago`, 'Get a new one; a running server takes it at SIGHUP.')
  if (validFromDate.getTime() > Date.now()) {
    return fail(name, `is not good before ${validFromDate.toISOString()}`, 'Check the clock, or get another one.')
  }
  if (days < SOON_DAYS) return warn(name, `expires in ${days} days`, 'Renew it; a running server takes it at SIGHUP.')
  return ok(name, `good for ${days} days`)
}

function names({ subjectAltName }: X509Certificate): Finding[] {
  if (subjectAltName !== undefined) return [ok('Names', subjectAltName)]
  return [
    fail(
      'Names',
      'the certificate has no subject alternative name',
      'Clients refuse it: get one with DNS names or addresses.',
    ),
  ]
}

function chainFinding(chain: readonly X509Certificate[]): Finding {
  const broken = chain.findIndex((each, at) => at + 1 < chain.length && !each.checkIssued(chain[at + 1]!))
  if (broken >= 0) {
    return fail(
      'Chain',
      `certificate ${broken + 1} is not issued by the one behind it`,
      "The server's own comes first, each followed by its issuer.",
    )
  }
  const last = chain.at(-1)!
  if (chain.length === 1 && last.checkIssued(last)) {
    return warn('Chain', 'the certificate is self-signed', 'Clients need it as their authority (VAULT_CACERT).')
  }
  return ok('Chain', `${chain.length} in order`)
}

function strength({ publicKey }: X509Certificate): Finding {
  const { asymmetricKeyType, asymmetricKeyDetails } = publicKey
  const bits = asymmetricKeyDetails?.modulusLength
  const told = bits === undefined ? String(asymmetricKeyType) : `${asymmetricKeyType} of ${bits} bits`
  if (bits !== undefined && bits < LEAST_RSA_BITS)
    return fail('Key', told, `RSA keys have at least ${LEAST_RSA_BITS} bits.`)
  return ok('Key', told)
}

function keyPermissions(keyFile: string): Finding {
  const { mode } = statSync(keyFile)
  const octal = (mode & 0o777).toString(8)
  if (process.platform !== 'win32' && mode & 0o007) {
    return fail('Key file', `everybody may read ${keyFile} (mode ${octal})`, `chmod 600 ${keyFile}`)
  }
  if (process.platform !== 'win32' && mode & 0o020) {
    return warn('Key file', `its group may write to ${keyFile} (mode ${octal})`, `chmod g-w ${keyFile}`)
  }
  return ok('Key file', `${keyFile} has mode ${octal}`)
}
