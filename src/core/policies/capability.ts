/** What a policy can grant. Pure. */

/** One bit each, so that merging is one instruction. */
export const capabilityBits = {
  create: 1,
  read: 2,
  update: 4,
  delete: 8,
  list: 16,
  sudo: 32,
  patch: 64,
  scan: 128,
  subscribe: 256,
  recover: 512,
  deny: 1024,
} as const

export type Capability = keyof typeof capabilityBits

export function isCapability(name: string): name is Capability {
  return Object.hasOwn(capabilityBits, name)
}

const byName = (Object.keys(capabilityBits) as Capability[]).toSorted()

/** In alphabetical order, as the Vault API tells them. */
export function capabilityNames(bits: number): Capability[] {
  return byName.filter((name) => (bits & capabilityBits[name]) !== 0)
}
