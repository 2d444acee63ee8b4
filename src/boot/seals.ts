/** The `seal` stanza of the configuration. */
import type { SealConfig } from '#seal/seal.ts'
import { type AutoUnsealName, autoUnseals } from '#seal/registry.ts'
import { ConfigError, type ServerConfig } from './config.ts'

export function sealConfig(stanza: ServerConfig['seal']): SealConfig {
  if (!stanza || stanza.type === 'shamir') return { type: 'shamir' }
  if (!isKind(stanza.type)) {
    throw new ConfigError(`seal "${stanza.type}" is not known: use ${Object.keys(autoUnseals).map((name) => `"${name}"`).join(', ')} or leave it out`)
  }
  return { type: stanza.type, options: stanza.options }
}

function isKind(name: string): name is AutoUnsealName {
  return Object.hasOwn(autoUnseals, name)
}
