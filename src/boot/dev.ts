/** `strongroom server -dev`: in memory, unsealed, with KV at `secret/`. */
import { StrongroomNode } from './compose.ts'
import { makeDevCertificate } from './dev-certificate.ts'
import { enableFirstMounts } from './first-mounts.ts'
import { logLine } from './log.ts'
import { listen, obeySignals } from './run.ts'

const LEASE_SECONDS = 768 * 3600

export async function runDev(options: { rootToken: string | undefined; address: string; tls: boolean }): Promise<void> {
  const node = await StrongroomNode.open({
    storage: { type: 'memory', options: {} },
    ledgerFolder: undefined,
    seal: { type: 'shamir' },
    defaultLeaseTtlSeconds: LEASE_SECONDS,
    maxLeaseTtlSeconds: LEASE_SECONDS,
    log: logLine,
  })
  const one = { shares: 1, threshold: 1, storedShares: 0, recoveryShares: 0, recoveryThreshold: 0 }
  const { shares, rootToken } = await node.initialize(one, options.rootToken)
  await node.unsealWith(shares)
  await enableFirstMounts(node)
  const tls = options.tls ? await makeDevCertificate() : undefined
  const listeners = await listen(node, [{ address: options.address, ...(tls && { tls }) }])
  obeySignals(node, listeners)
  const unsealKey = Buffer.from(shares[0]!).toString('base64')
  process.stdout.write(`
Strongroom in development mode: everything is in memory and gone when it ends. Not for real secrets.

    export VAULT_ADDR='${tls ? 'https' : 'http'}://${options.address}'
${tls ? `    export VAULT_CACERT='${tls.certFile}'\n` : ''}
Unseal Key: ${unsealKey}
Root Token: ${rootToken}

`)
}
