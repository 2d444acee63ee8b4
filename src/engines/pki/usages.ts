/** Key usages by the names that the API has for them. Pure. */
import { keyUsages } from '#lib/x509/extensions.ts'

/** In the order in which they stand in certificates. */
const extended: [string, string][] = [
  ['any', '2.5.29.37.0'],
  ['serverauth', '1.3.6.1.5.5.7.3.1'],
  ['clientauth', '1.3.6.1.5.5.7.3.2'],
  ['codesigning', '1.3.6.1.5.5.7.3.3'],
  ['emailprotection', '1.3.6.1.5.5.7.3.4'],
  ['ipsecendsystem', '1.3.6.1.5.5.7.3.5'],
  ['ipsectunnel', '1.3.6.1.5.5.7.3.6'],
  ['ipsecuser', '1.3.6.1.5.5.7.3.7'],
  ['timestamping', '1.3.6.1.5.5.7.3.8'],
  ['ocspsigning', '1.3.6.1.5.5.7.3.9'],
  ['microsoftservergatedcrypto', '1.3.6.1.4.1.311.10.3.3'],
  ['netscapeservergatedcrypto', '2.16.840.1.113730.4.1'],
  ['microsoftcommercialcodesigning', '1.3.6.1.4.1.311.2.1.22'],
  ['microsoftkernelcodesigning', '1.3.6.1.4.1.311.61.1.1'],
]

/** Numbers of the bits; names that mean nothing are left out, as the API has it. */
export function keyUsageBits(names: readonly string[]): number[] {
  const numbers = names.map((name) => keyUsages[plain(name, 'keyusage')]).filter((number) => number !== undefined)
  return [...new Set(numbers)]
}

export interface ExtendedUsages {
  server_flag: boolean
  client_flag: boolean
  code_signing_flag: boolean
  email_protection_flag: boolean
  ext_key_usage: readonly string[]
  ext_key_usage_oids: readonly string[]
}

export function extendedUsageIds(role: ExtendedUsages): string[] {
  const wanted = new Set(role.ext_key_usage.map((name) => plain(name, 'extkeyusage')))
  if (role.server_flag) wanted.add('serverauth')
  if (role.client_flag) wanted.add('clientauth')
  if (role.code_signing_flag) wanted.add('codesigning')
  if (role.email_protection_flag) wanted.add('emailprotection')
  const named = extended.filter(([name]) => wanted.has(name)).map(([, id]) => id)
  return [...new Set([...named, ...role.ext_key_usage_oids])]
}

/** `DigitalSignature` and `x509.KeyUsageDigitalSignature` are the same. */
function plain(name: string, prefix: string): string {
  const lower = name.trim().toLowerCase()
  return lower.startsWith(prefix) ? lower.slice(prefix.length) : lower
}
