/**
 * The `control_group` of a path stanza: who has to consent before a request goes on. Pure; asking for consent is
 * core/approvals.
 */
import { hclBlocks, type HclObject } from '#lib/hcl.ts'
import { capabilityBits, isCapability } from './capability.ts'
import { checkKeys, PolicyProblem, Stanza } from './stanza.ts'

export interface ControlGroup {
  /** How long a parked request waits; 0: the system's own time. */
  ttlSeconds: number
  factors: readonly ControlGroupFactor[]
}

export interface ControlGroupFactor {
  name: string
  /** Bits of the capabilities that this factor guards; 0: all. */
  controlledCapabilities: number
  groupIds: readonly string[]
  groupNames: readonly string[]
  /** How many members of these groups have to consent. */
  approvals: number
  /** Whether the one who asks may consent too. */
  selfAuthorization: boolean
  /** How long a consent counts; 0: as long as the request waits. */
  ttlSeconds: number
}

const groupKeys = new Set(['ttl', 'factor'])
const factorKeys = new Set(['controlled_capabilities', 'identity'])
const identityKeys = new Set(['group_ids', 'group_names', 'approvals', 'self_authorization', 'ttl'])

/** @param capabilities  bits of the stanza around it: a factor can only guard what is granted there */
export function parseControlGroup(
  object: HclObject | undefined,
  capabilities: number,
  where: string,
): ControlGroup | undefined {
  if (!object) return undefined
  const inside = `${where}control_group: `
  checkKeys(object, groupKeys, inside)
  const stray = () => {
    throw new PolicyProblem(`${inside}a factor needs a name and a block`)
  }
  const factors = hclBlocks(object, 'factor', 1, stray).map(({ labels, body }) => {
    const name = labels[0]
    if (labels.length !== 1 || !name) throw new PolicyProblem(`${inside}a factor needs a name and a block`)
    return parseFactor(name, body, capabilities, `${inside}factor ${JSON.stringify(name)}: `)
  })
  // Without a factor nobody could ever consent, or everybody would pass: neither was meant.
  if (factors.length === 0) throw new PolicyProblem(`${inside}no factors are given`)
  return { ttlSeconds: new Stanza(object, inside).duration('ttl'), factors }
}

function parseFactor(name: string, body: HclObject, capabilities: number, where: string): ControlGroupFactor {
  checkKeys(body, factorKeys, where)
  const identities = hclBlocks(body, 'identity', 0, () => {
    throw new PolicyProblem(`${where}identity must be a block`)
  })
  if (identities.length !== 1) throw new PolicyProblem(`${where}exactly one identity block is needed`)
  checkKeys(identities[0]!.body, identityKeys, where)
  const identity = new Stanza(identities[0]!.body, where)
  const groupIds = identity.strings('group_ids')
  const groupNames = identity.strings('group_names')
  const approvals = identity.count('approvals')
  if (groupIds.length + groupNames.length === 0) throw new PolicyProblem(`${where}no groups are given`)
  if (approvals < 1) throw new PolicyProblem(`${where}approvals must be at least 1`)
  return {
    name,
    controlledCapabilities: controlled(new Stanza(body, where).strings('controlled_capabilities'), capabilities, where),
    groupIds,
    groupNames,
    approvals,
    selfAuthorization: identity.boolean('self_authorization'),
    ttlSeconds: identity.duration('ttl'),
  }
}

function controlled(names: readonly string[], capabilities: number, where: string): number {
  let bits = 0
  for (const name of names) {
    if (!isCapability(name)) throw new PolicyProblem(`${where}invalid capability ${JSON.stringify(name)}`)
    if ((capabilities & capabilityBits[name]) === 0) {
      throw new PolicyProblem(`${where}controlled capability ${JSON.stringify(name)} is not granted by the path`)
    }
    bits |= capabilityBits[name]
  }
  return bits
}
