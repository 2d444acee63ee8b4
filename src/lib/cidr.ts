/** Address ranges (RFC 4632). Pure. */
import { BlockList, isIP } from 'node:net'

/** Whether `text` is an address (a range of one) or a range such as `10.0.0.0/8` or `fd00::/8`. */
export function isCidr(text: string): boolean {
  return parse(text) !== undefined
}

/** Whether `address` lies in one of the ranges. An empty list bounds nothing; ranges that cannot be read hold nobody. */
export function cidrsAllow(ranges: readonly string[], address: string): boolean {
  if (ranges.length === 0) return true
  const plain = unmapped(address)
  const family = isIP(plain)
  if (family === 0) return false
  return ranges.some((range) => {
    const parsed = parse(range)
    if (!parsed || parsed.family !== family) return false
    const list = new BlockList()
    list.addSubnet(parsed.address, parsed.bits, parsed.family === 4 ? 'ipv4' : 'ipv6')
    return list.check(plain, family === 4 ? 'ipv4' : 'ipv6')
  })
}

/**
 * The same for ranges that are asked again and again: they are read once.
 *
 * @returns undefined if one of them is none; of no ranges, a test that nothing passes
 */
export function cidrTest(ranges: readonly string[]): ((address: string) => boolean) | undefined {
  const list = new BlockList()
  for (const range of ranges) {
    const parsed = parse(range)
    if (!parsed) return undefined
    list.addSubnet(parsed.address, parsed.bits, parsed.family === 4 ? 'ipv4' : 'ipv6')
  }
  return (address) => {
    const plain = unmapped(address)
    const family = isIP(plain)
    return family !== 0 && list.check(plain, family === 4 ? 'ipv4' : 'ipv6')
  }
}

/** Whether every address of `inner` lies in one of `outer`. */
export function cidrWithin(inner: string, outer: readonly string[]): boolean {
  const parsed = parse(inner)
  if (!parsed) return false
  return outer.some((range) => {
    const wide = parse(range)
    return (
      wide !== undefined &&
      wide.family === parsed.family &&
      wide.bits <= parsed.bits &&
      cidrsAllow([range], parsed.address)
    )
  })
}

function parse(text: string): { address: string; bits: number; family: 4 | 6 } | undefined {
  const [address, bitsText, ...more] = text.split('/')
  const family = isIP(address!)
  if (family === 0 || more.length > 0) return undefined
  const most = family === 4 ? 32 : 128
  if (bitsText === undefined) return { address: address!, bits: most, family: family as 4 | 6 }
  const bits = /^\d{1,3}$/.test(bitsText) ? Number(bitsText) : most + 1
  return bits > most ? undefined : { address: address!, bits, family: family as 4 | 6 }
}

/** `::ffff:10.0.0.1`, as a dual-stack socket names an IPv4 peer, is 10.0.0.1 (RFC 4291 §2.5.5.2). */
function unmapped(address: string): string {
  const match = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  return match ? match[1]! : address
}
