/** The `seal` stanzas of the configuration, and `VAULT_SEAL_TYPE`, which stands for one without options. */
import type { AutoUnsealConfig, SealConfig } from '#seal/seal.ts'
import { type AutoUnsealName, autoUnseals } from '#seal/registry.ts'
import { ConfigError, type ServerConfig, type Stanza } from './config.ts'

const TYPE_VARIABLES = ['STRONGROOM_SEAL_TYPE', 'BAO_SEAL_TYPE', 'VAULT_SEAL_TYPE']
const SHAMIR = 'shamir'

/** @throws ConfigError for a type that is not known, and for a stanza and a variable that contradict each other */
export function sealConfig(
  { seal, leavingSeal }: Pick<ServerConfig, 'seal' | 'leavingSeal'>,
  env: NodeJS.ProcessEnv,
): SealConfig {
  const leaving = leavingSeal && autoUnseal(leavingSeal)
  const used = usedSeal(seal, env)
  return { ...((used && autoUnseal(used)) ?? { type: SHAMIR }), ...(leaving && { leaving }) }
}

function usedSeal(seal: Stanza | undefined, env: NodeJS.ProcessEnv): Stanza | undefined {
  const variable = TYPE_VARIABLES.find((name) => env[name])
  if (variable === undefined) return seal
  const type = env[variable]!
  if (seal !== undefined && seal.type !== type) {
    throw new ConfigError(`${seal.at}: the configuration has seal "${seal.type}", ${variable} says "${type}"`)
  }
  return seal ?? { type, options: {}, at: variable }
}

/** Undefined for shamir, which needs no stanza and may have one. */
function autoUnseal({ type, options, at }: Stanza): AutoUnsealConfig | undefined {
  if (type === SHAMIR) return undefined
  if (!isKind(type)) {
    const known = Object.keys(autoUnseals).map((name) => `"${name}"`)
    throw new ConfigError(`${at}: seal "${type}" is not known: use ${known.join(', ')} or leave it out`)
  }
  return { type, options }
}

function isKind(name: string): name is AutoUnsealName {
  return Object.hasOwn(autoUnseals, name)
}
