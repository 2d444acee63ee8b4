/** Serial numbers: 20 random bytes, written as `4f:00:…` by the API and as plain hex in storage keys. Pure but for the dice. */
import { randomBytes } from 'node:crypto'

/** Always 20 bytes and positive (RFC 5280 §4.1.2.2), with 158 random bits. */
export function newSerial(): Buffer {
  const bytes = randomBytes(20)
  bytes[0] = (bytes[0]! & 0x3f) | 0x40
  return bytes
}

export const colons = (hex: string): string => hex.replace(/(..)(?=.)/g, '$1:')

/** `4f:00`, `4F-00`, `00:4f:00` or `4f00` → `4f00`; undefined for what is no serial number. */
export function parseSerial(text: string): string | undefined {
  const hex = text
    .trim()
    .toLowerCase()
    .replace(/[:-]/g, '')
    .replace(/^(?:00)+(?=..)/, '')
  return /^(?:[0-9a-f]{2}){1,64}$/.test(hex) ? hex : undefined
}
