/** The part of a `listener` stanza that says which proxies are believed, and what they say. */
import type { CertificateDecoder, Forwarding } from '#http/forwarded.ts'
import type { ProxyProtocol } from '#http/options.ts'
import { cidrTest } from '#lib/cidr.ts'
import { booleanOption, type Stanza } from './config.ts'
import { listOption, refused } from './listener-refusal.ts'

const behaviors = ['use_always', 'allow_authorized', 'deny_unauthorized']

export function proxyProtocol(stanza: Stanza): ProxyProtocol | undefined {
  const behavior = stanza.options['proxy_protocol_behavior']
  if (behavior === undefined || behavior === '') return undefined
  if (stanza.type !== 'tcp') throw refused(stanza, 'proxy_protocol_behavior is for "tcp" only')
  if (!behaviors.includes(behavior)) {
    const known = behaviors.map((name) => `"${name}"`).join(', ')
    throw refused(stanza, `proxy_protocol_behavior is one of ${known}, not "${behavior}"`)
  }
  if (behavior === 'use_always') return { trusts: () => true, denyOthers: false }
  const trusts = addresses(stanza, 'proxy_protocol_authorized_addrs')
  if (!trusts) {
    throw refused(stanza, `proxy_protocol_behavior "${behavior}" needs proxy_protocol_authorized_addrs`)
  }
  return { trusts, denyOthers: behavior === 'deny_unauthorized' }
}

/** Without a single address nobody is believed, and the header means nothing. */
export function forwarding(stanza: Stanza): Forwarding | undefined {
  const trusts = addresses(stanza, 'x_forwarded_for_authorized_addrs')
  if (!trusts) return undefined
  if (stanza.type !== 'tcp') throw refused(stanza, 'x_forwarded_for_authorized_addrs is for "tcp" only')
  const header = stanza.options['x_forwarded_for_client_cert_header']?.trim().toLowerCase() ?? ''
  if (header !== '' && !/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(header)) {
    throw refused(stanza, `x_forwarded_for_client_cert_header is the name of a header, not "${header}"`)
  }
  return {
    trusts,
    hopSkips: hopSkips(stanza),
    rejectNotAuthorized: trueUnlessGiven(stanza, 'x_forwarded_for_reject_not_authorized'),
    rejectNotPresent: trueUnlessGiven(stanza, 'x_forwarded_for_reject_not_present'),
    clientCertificate: header === '' ? undefined : { header, decoders: decoders(stanza) },
  }
}

function addresses(stanza: Stanza, option: string): ((address: string) => boolean) | undefined {
  const ranges = listOption(stanza, option)
  if (ranges.length === 0) return undefined
  const test = cidrTest(ranges)
  if (!test)
    throw refused(
      stanza,
      `${option} is a list of addresses and ranges such as "10.0.0.0/8", not "${ranges.join(', ')}"`,
    )
  return test
}

function hopSkips(stanza: Stanza): number {
  const text = stanza.options['x_forwarded_for_hop_skips'] || '0'
  if (!/^\d{1,3}$/.test(text)) {
    throw refused(stanza, `x_forwarded_for_hop_skips is a whole number of at least 0, not "${text}"`)
  }
  return Number(text)
}

function trueUnlessGiven(stanza: Stanza, option: string): boolean {
  return stanza.options[option] === undefined || booleanOption(stanza, option)
}

function decoders(stanza: Stanza): CertificateDecoder[] {
  return listOption(stanza, 'x_forwarded_for_client_cert_header_decoders').map((name) => {
    const decoder = name.toUpperCase()
    if (decoder === 'URL' || decoder === 'BASE64' || decoder === 'DER') return decoder
    throw refused(stanza, `x_forwarded_for_client_cert_header_decoders: unknown decode option specified: ${name}`)
  })
}
