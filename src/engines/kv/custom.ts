/** Custom metadata: names and texts that users keep with a secret, and their limits. Pure. */
import { ApiError } from '#sdk/errors.ts'

const MAX_NAMES = 64
const MAX_NAME_BYTES = 128
const MAX_TEXT_BYTES = 512

type Notes = Record<string, string> | null

interface GivenNotes {
  /** As a whole: what a write puts in place of what was there. */
  all: Notes
  /** As a JSON merge patch: null removes a name. */
  mergedInto(notes: Notes): Notes
}

/** @throws ApiError `invalid_request` for a value that is no text, number or boolean */
export function customMetadata(given: Record<string, unknown> | undefined): GivenNotes {
  const entries = Object.entries(given ?? {}).map(([name, value]): [string, string | null] => [
    name,
    toText(name, value),
  ])
  return {
    all: notesOf(entries.map(([name, value]) => [name, value ?? ''])),
    mergedInto(notes) {
      const merged = new Map(Object.entries(notes ?? {}))
      for (const [name, value] of entries) {
        if (value === null) merged.delete(name)
        else merged.set(name, value)
      }
      return notesOf([...merged])
    },
  }
}

function notesOf(entries: [string, string][]): Notes {
  return entries.length === 0 ? null : Object.fromEntries(entries)
}

function toText(name: string, value: unknown): string | null {
  if (value === null || typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  if (typeof value === 'boolean') return value ? '1' : '0'
  throw new ApiError('invalid_request', `${PREFIX}: value for key ${JSON.stringify(name)} is not a string`)
}

const PREFIX = 'custom_metadata validation failed'

/** Tells everything that is wrong at once, as the Vault API does. */
export function checkCustomMetadata(notes: Notes): Notes {
  const entries = Object.entries(notes ?? {})
  if (entries.length > MAX_NAMES) {
    refuse([`payload must contain at most ${MAX_NAMES} keys, provided ${entries.length}`])
  }
  const wrong = entries.flatMap(([name, text]) => {
    const quoted = JSON.stringify(name)
    const nameBytes = Buffer.byteLength(name)
    const textBytes = Buffer.byteLength(text)
    return [
      (nameBytes === 0 || nameBytes > MAX_NAME_BYTES) &&
        `length of key ${quoted} is ${nameBytes} but must be 0 < len(key) <= ${MAX_NAME_BYTES}`,
      (textBytes === 0 || textBytes > MAX_TEXT_BYTES) &&
        `length of value for key ${quoted} is ${textBytes} but must be 0 < len(value) <= ${MAX_TEXT_BYTES}`,
      !isPrintable(name) && `key ${quoted} (${name}) contains unprintable characters`,
      !isPrintable(text) && `value for key ${quoted} contains unprintable characters`,
    ].filter((message) => message !== false)
  })
  if (wrong.length > 0) refuse(wrong)
  return notes
}

function isPrintable(text: string): boolean {
  return !/[\p{C}\p{Zl}\p{Zp}]/u.test(text)
}

/** Several errors in the form that the Vault API puts them in. */
function refuse(messages: string[]): never {
  const lines = messages.map((message) => `\t* ${PREFIX}: ${message}\n`).join('')
  const count = messages.length === 1 ? '1 error' : `${messages.length} errors`
  throw new ApiError('invalid_request', `${count} occurred:\n${lines}\n`)
}
