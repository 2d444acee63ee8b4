/** `strongroom server -dev`: in memory, unsealed, with KV at `secret/`. */
import { rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { StrongroomNode } from './compose.ts'
import { DEFAULT_LEASE_SECONDS } from './config.ts'
import { lockoutDisabled } from './config-lockout.ts'
import { makeDevCertificate } from './dev-certificate.ts'
import { enableFirstMounts, ONE_SHARE } from './first-mounts.ts'
import { logLine, serverLog } from './log.ts'
import { listen, obeySignals } from './run.ts'

export async function runDev(options: {
  rootToken: string | undefined
  address: string
  tls: boolean
  /** In `~/.vault-token`, where command lines look for one, so that they work in the next terminal without more ado. */
  storeToken: boolean
}): Promise<void> {
  const node = await StrongroomNode.open({
    storage: { type: 'memory', options: {} },
    ledgerFolder: undefined,
    seal: { type: 'shamir' },
    defaultLeaseTtlSeconds: DEFAULT_LEASE_SECONDS,
    maxLeaseTtlSeconds: DEFAULT_LEASE_SECONDS,
    disableUserLockout: lockoutDisabled(process.env),
    log: logLine,
    serverLog,
  })
  const { shares, rootToken } = await node.initialize(ONE_SHARE, options.rootToken)
  await node.unsealWith(shares)
  await enableFirstMounts(node)
  const tls = options.tls ? await makeDevCertificate() : undefined
  const listeners = await listen(node, [{ address: options.address, ...(tls && { tls }) }])
  obeySignals(node, listeners)
  if (options.storeToken) await storeToken(rootToken)
  const unsealKey = Buffer.from(shares[0]!).toString('base64')
  process.stdout.write(`
Strongroom in development mode: everything is in memory and gone when it ends. Not for real secrets.

    export VAULT_ADDR='${tls ? 'https' : 'http'}://${options.address}'
${tls ? `    export VAULT_CACERT='${tls.certFile}'\n` : ''}
Unseal Key: ${unsealKey}
Root Token: ${rootToken}

`)
}

/** A home that cannot be written to keeps nobody from developing. */
async function storeToken(token: string): Promise<void> {
  const file = path.join(homedir(), '.vault-token')
  const draft = `${file}.${process.pid}.tmp`
  try {
    await writeFile(draft, token, { mode: 0o600, flag: 'wx' })
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    logLine(`the root token could not be written to ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
