/**
 * Random passwords by a policy: candidates in which every character of the set is equally likely, until one fulfils all
 * rules. So all passwords that the policy allows are equally likely, which placing the required characters first would
 * not give.
 */
import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { PasswordPolicy } from './policy.ts'

/** How long to look for one that fulfils the rules. */
export const GENERATE_MS = 1000

/** One byte chooses a character. */
const MAX_CHARACTERS = 256

/** Looked at in one go, less than a millisecond's worth; then others have their turn. */
const CANDIDATES_AT_ONCE = 50

/** @throws Error when none was found in time, with a text for people */
export async function generatePassword(policy: PasswordPolicy, deadlineMs = Date.now() + GENERATE_MS): Promise<string> {
  if (policy.characters.length > MAX_CHARACTERS) {
    throw new Error(`charset is too long: limited to ${MAX_CHARACTERS} characters`)
  }
  const rules = policy.rules
    .filter((rule) => rule.minCharacters > 0)
    .map(({ characters, minCharacters }) => ({ characters: new Set(characters), minCharacters }))
  for (;;) {
    for (let tries = 0; tries < CANDIDATES_AT_ONCE; tries++) {
      const candidate = candidateOf(policy)
      const fulfils = rules.every(({ characters, minCharacters }) => {
        let count = 0
        for (const each of candidate) if (characters.has(each)) count++
        return count >= minCharacters
      })
      if (fulfils) return candidate.join('')
    }
    if (Date.now() >= deadlineMs) throw new Error('timed out generating string')
    await setImmediate()
  }
}

function candidateOf({ characters, length }: PasswordPolicy): string[] {
  // Bytes from the last whole multiple on would favour the characters at the start.
  const usable = MAX_CHARACTERS - (MAX_CHARACTERS % characters.length)
  const candidate: string[] = []
  while (candidate.length < length) {
    for (const byte of randomBytes(length - candidate.length)) {
      if (byte < usable) candidate.push(characters[byte % characters.length]!)
    }
  }
  return candidate
}
