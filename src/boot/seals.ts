/** The `seal` stanza of the configuration. */
import type { SealConfig } from '#seal/seal.ts'
import { type AutoUnsealName, autoUnseals } from '#seal/registry.ts'
import { ConfigError, type Stanza } from './config.ts'

export function sealConfig(stanza: Stanza | undefined): SealConfig {
  if (!stanza || stanza.type === 'shamir') return { type: 'shamir' }
  if (!isKind(stanza.type)) {
    const known = Object.keys(autoUnseals).map((name) => `"${name}"`)
    throw new ConfigError(`${stanza.at}: seal "${stanza.type}" is not known: use ${known.join(', ')} or leave it out`)
  }
  return { type: stanza.type, options: stanza.options }
}

function isKind(name: string): name is AutoUnsealName {
  return Object.hasOwn(autoUnseals, name)
}
