/** What a person finds in a server made by \`start\` or \`-dev\`: one share that unseals it, and a place for secrets. */
import type { InitOptions } from '#sdk/seal.ts'
import type { StrongroomNode } from './compose.ts'

export const ONE_SHARE: InitOptions = {
  shares: 1,
  threshold: 1,
  storedShares: 0,
  recoveryShares: 0,
  recoveryThreshold: 0,
}

export async function enableFirstMounts(node: StrongroomNode): Promise<void> {
  await node.core.mounts.enable('secret', 'secret', {
    type: 'kv',
    description: 'key/value secret storage',
    config: {},
    options: { version: '2' },
    local: false,
    sealWrap: false,
    externalEntropyAccess: false,
  })
}
