/**
 * Password policies: how long a password is and how many characters of which sets it has, in HCL or JSON. Pure.
 *
 *   length = 20
 *   rule "charset" { charset = "abcde" min-chars = 1 }
 *
 * Refusals carry the texts of the Vault API.
 */
import { type HclBlock, type HclObject, type HclValue, hclBlocks, parseHcl } from '#lib/hcl.ts'

export interface CharsetRule {
  /** Code points, each once. */
  characters: readonly string[]
  /** 0: they may be in it but need not. */
  minCharacters: number
}

export interface PasswordPolicy {
  length: number
  rules: readonly CharsetRule[]
  /** Of all rules together, each once, in the order of their code points. */
  characters: readonly string[]
}

export type ParsedPasswordPolicy = { ok: true; policy: PasswordPolicy } | { ok: false; message: string }

/** A policy has some hundred characters. */
export const MAX_POLICY_CHARACTERS = 64 * 1024
const MAX_RULES = 100

/** What passwords are made by where no policy is named. */
export const defaultPolicyText = `length = 20
rule "charset" {
  charset = "abcdefghijklmnopqrstuvwxyz"
  min-chars = 1
}
rule "charset" {
  charset = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
  min-chars = 1
}
rule "charset" {
  charset = "0123456789"
  min-chars = 1
}
rule "charset" {
  charset = "-"
  min-chars = 1
}
`

class Problem extends Error {}

export function parsePasswordPolicy(text: string): ParsedPasswordPolicy {
  if (text.length > MAX_POLICY_CHARACTERS) {
    return { ok: false, message: `the policy is longer than ${MAX_POLICY_CHARACTERS} characters` }
  }
  const parsed = parseHcl(text)
  if (!parsed.ok) {
    return { ok: false, message: `unable to decode: At ${parsed.line}:${parsed.column}: ${parsed.message}` }
  }
  try {
    return { ok: true, policy: policyOf(parsed.value) }
  } catch (error) {
    if (error instanceof Problem) return { ok: false, message: error.message }
    throw error
  }
}

function policyOf(object: HclObject): PasswordPolicy {
  const length = integer(object, 'length', 'failed to decode configuration')
  const blocks = hclBlocks(object, 'rule', 1, () => {
    throw new Problem('unable to retrieve rules: a rule is a block: rule "charset" { … }')
  })
  if (blocks.length > MAX_RULES) throw new Problem(`unable to parse rules: more than ${MAX_RULES} rules`)
  const rules = blocks.map(ruleOf)
  const characters = [...new Set(rules.flatMap((rule) => rule.characters))].toSorted(
    (one, other) => one.codePointAt(0)! - other.codePointAt(0)!,
  )
  refuseProblems(problemsOf(length, rules, characters))
  return { length, rules, characters }
}

function ruleOf({ labels, body }: HclBlock): CharsetRule {
  const type = labels[0]
  if (type === undefined) throw new Problem('unable to parse rules: unable to get rule info: rule is empty')
  const where = `unable to parse rules: unable to parse rule ${type}`
  if (type !== 'charset') throw new Problem(`${where}: unrecognized rule type ${type}`)
  const charset = last(body, 'charset') ?? ''
  if (typeof charset !== 'string') {
    throw new Problem(`${where}: failed to parse charset restriction: 'charset' is a text`)
  }
  return {
    characters: [...new Set(charset)],
    minCharacters: Math.max(0, integer(body, 'min-chars', `${where}: failed to parse charset restriction`)),
  }
}

/** As Go's unicode.IsPrint has it: letters, marks, numbers, punctuation, symbols and the ASCII space. */
const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u

function problemsOf(length: number, rules: readonly CharsetRule[], characters: readonly string[]): string[] {
  const least = rules.reduce((sum, rule) => sum + rule.minCharacters, 0)
  const problems: string[] = []
  if (length <= 0) problems.push('length must be > 0')
  else if (length < least) {
    problems.push(`specified rules require at least ${least} characters but ${length} is specified`)
  }
  if (characters.length === 0) problems.push('no charset specified')
  else if (!characters.every((each) => printable.test(each))) problems.push('non-printable character in charset')
  return problems
}

function refuseProblems(problems: readonly string[]): void {
  if (problems.length === 0) return
  const head = problems.length === 1 ? '1 error occurred:' : `${problems.length} errors occurred:`
  throw new Problem(`${head}\n\t${problems.map((each) => `* ${each}`).join('\n\t')}\n\n`)
}

/** 0 if not given; fractions are cut off. */
function integer(object: HclObject, name: string, where: string): number {
  const value = last(object, name) ?? 0
  if (typeof value !== 'number' || !Number.isSafeInteger(Math.trunc(value))) {
    throw new Problem(`${where}: '${name}' is a whole number`)
  }
  return Math.trunc(value)
}

/** Of a key that is given several times, the last one counts. */
function last(object: HclObject, name: string): HclValue | undefined {
  return object.items.findLast(({ keys }) => keys.length === 1 && keys[0] === name)?.value
}
