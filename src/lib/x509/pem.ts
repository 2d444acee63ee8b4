/** PEM, the text form of certificates and keys (RFC 7468). Pure. */

export interface PemBlock {
  label: string
  bytes: Buffer
}

/** Blocks of one text; a chain has a few. */
export const MAX_PEM_BLOCKS = 100

export function encodePem(label: string, bytes: Uint8Array): string {
  const base64 = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
  let lines = ''
  for (let at = 0; at < base64.length; at += 64) lines += `${base64.slice(at, at + 64)}\n`
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`
}

/** The text with exactly one line break at its end, or none. */
export const withoutEnd = (pem: string): string => pem.trimEnd()

/** Undefined when there is none, too many, or one that is broken. What stands around them is ignored. */
export function parsePem(text: string): PemBlock[] | undefined {
  const blocks: PemBlock[] = []
  const begin = /-----BEGIN ([A-Z0-9 ]{1,64})-----/g
  for (let match = begin.exec(text); match; match = begin.exec(text)) {
    const end = `-----END ${match[1]}-----`
    const to = text.indexOf(end, begin.lastIndex)
    if (to < 0 || blocks.length >= MAX_PEM_BLOCKS) return undefined
    const base64 = text.slice(begin.lastIndex, to).replace(/\s+/g, '')
    if (base64 === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined
    blocks.push({ label: match[1]!, bytes: Buffer.from(base64, 'base64') })
    begin.lastIndex = to + end.length
  }
  return blocks.length > 0 ? blocks : undefined
}
