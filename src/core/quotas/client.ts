/** Which client an address stands for. Pure. */

const GROUPS_OF_NETWORK = 4

/**
 * An IPv4 address as it is; of an IPv6 address the first 64 bits: one customer of a provider has all the others in it, and
 * could come from a new address with every request (RFC 6177).
 */
export function clientOf(address: string): string {
  if (!address.includes(':')) return address
  const plain = address.replace(/%.*$/, '')
  const [head = '', tail] = plain.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  // An IPv4 address at the end stands for two groups.
  const width = after.length + (plain.includes('.') ? 1 : 0)
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - width)
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after]
  return `${groups
    .slice(0, GROUPS_OF_NETWORK)
    .map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
    .join(':')}::/64`
}
