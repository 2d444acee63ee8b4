/** What a person finds in a server made by \`start\` or \`-dev\`: a place for secrets. */
import type { StrongroomNode } from './compose.ts'

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
