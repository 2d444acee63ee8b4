/**
 * Password policies as they are kept, and passwords made by them.
 * Storage: `<name>` → { policy }, the text as it was written.
 */
import type { Passwords as PasswordSource } from '#sdk/engine.ts'
import { ApiError, found } from '#sdk/errors.ts'
import { listNames } from '#sdk/listing.ts'
import type { Page, Storage } from '#sdk/storage.ts'
import { GENERATE_MS, generatePassword } from './generate.ts'
import { defaultPolicyText, parsePasswordPolicy, type PasswordPolicy } from './policy.ts'

interface Entry {
  policy: string
}

const MIN_LENGTH = 4
const MAX_LENGTH = 100

/** Made before a policy is kept: one that can hardly be fulfilled would fail later, when somebody waits for a password. */
const TRIALS = 10

export class Passwords implements PasswordSource {
  readonly #storage: Storage
  /** By its text, for the policy used last: engines ask for one after the other. */
  #parsed: { text: string; policy: PasswordPolicy } | undefined

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** @throws ApiError `not_found` */
  async read(name: string): Promise<string> {
    return found(await this.#storage.get<Entry>(name), 'policy does not exist').policy
  }

  async list(page: Page): Promise<string[]> {
    return await listNames(this.#storage, '', page)
  }

  async delete(name: string): Promise<void> {
    await this.#storage.delete(name)
  }

  /** @throws ApiError `invalid_request` for a policy that is none, or by which passwords are hardly ever found */
  async write(name: string, text: string): Promise<void> {
    const parsed = parsePasswordPolicy(text)
    if (!parsed.ok) throw refused(`invalid password policy: ${parsed.message}`)
    const { policy } = parsed
    if (policy.length < MIN_LENGTH || policy.length > MAX_LENGTH) {
      throw refused(`passwords must be between ${MIN_LENGTH} and ${MAX_LENGTH} characters`)
    }
    const failed = await failures(policy)
    const within = `${GENERATE_MS / 1000}s`
    if (failed === TRIALS) {
      throw refused(`unable to generate password from provided policy in ${within}: are the rules impossible?`)
    }
    if (failed > 0) {
      throw refused(
        `failed to generate passwords ${failed} times out of ${TRIALS} attempts in ${within} - is the policy too restrictive?`,
      )
    }
    await this.#storage.put<Entry>(name, { policy: text })
  }

  /** @throws ApiError `not_found` when there is no such policy, `internal` when no password is found by it */
  async generate(name?: string): Promise<string> {
    const policy = this.#policyOf(name === undefined ? defaultPolicyText : await this.read(name))
    try {
      return await generatePassword(policy)
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      throw new ApiError('internal', `failed to generate password from policy: ${text}`, { cause: error })
    }
  }

  #policyOf(text: string): PasswordPolicy {
    if (this.#parsed?.text === text) return this.#parsed.policy
    const parsed = parsePasswordPolicy(text)
    if (!parsed.ok) throw new ApiError('internal', 'stored password policy configuration failed to parse')
    this.#parsed = { text, policy: parsed.policy }
    return parsed.policy
  }
}

/** All within one time limit, as the Vault API has it. */
async function failures(policy: PasswordPolicy): Promise<number> {
  const deadlineMs = Date.now() + GENERATE_MS
  let failed = 0
  for (let trial = 0; trial < TRIALS; trial++) {
    try {
      await generatePassword(policy, deadlineMs)
    } catch {
      // Which way it failed makes no difference: they are counted.
      failed++
    }
  }
  return failed
}

function refused(message: string): ApiError {
  return new ApiError('invalid_request', message)
}
