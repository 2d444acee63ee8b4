import assert from 'node:assert/strict'
import test from 'node:test'
import { generatePassword } from './generate.ts'
import { defaultPolicyText, parsePasswordPolicy, type PasswordPolicy } from './policy.ts'

function policy(text: string): PasswordPolicy {
  const parsed = parsePasswordPolicy(text)
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return parsed.policy
}

const charset = (characters: string, least = 0) => `rule "charset" { charset = "${characters}" min-chars = ${least} }\n`

test('HCL and JSON say the same, sets are joined and each character counts once', () => {
  const hcl = policy(`length = 8\n${charset('cab', 1)}${charset('cde')}`)
  assert.deepEqual(hcl.characters, ['a', 'b', 'c', 'd', 'e'])
  const rules = [{ charset: { charset: 'cab', 'min-chars': 1 } }, { charset: { charset: 'cde' } }]
  assert.deepEqual(policy(JSON.stringify({ length: 8, rule: rules })), hcl)
})

test('characters outside of ASCII are whole characters', async () => {
  const made = await generatePassword(policy(`length = 12\n${charset('😀é', 1)}`))
  assert.equal(Array.from(made).length, 12)
  assert.match(made, /^[😀é]+$/u)
})

for (const [what, text, message] of [
  ['no set', 'length = 20', '1 error occurred:\n\t* no charset specified\n\n'],
  ['no length', charset('abc'), '1 error occurred:\n\t* length must be > 0\n\n'],
  ['neither', '', '2 errors occurred:\n\t* length must be > 0\n\t* no charset specified\n\n'],
  [
    'too much asked for',
    `length = 4\n${charset('ab', 3)}${charset('cd', 2)}`,
    '1 error occurred:\n\t* specified rules require at least 5 characters but 4 is specified\n\n',
  ],
  [
    'a character that cannot be printed',
    'length = 9\nrule "charset" { charset = "a\\u0007" }',
    '1 error occurred:\n\t* non-printable character in charset\n\n',
  ],
  [
    'a kind of rule nobody knows',
    'length = 9\nrule "words" { }',
    'unable to parse rules: unable to parse rule words: unrecognized rule type words',
  ],
  ['a length in words', 'length = "ten"', "failed to decode configuration: 'length' is a whole number"],
] as const) {
  test(`a policy with ${what} is refused`, () => {
    assert.deepEqual(parsePasswordPolicy(text), { ok: false, message })
  })
}

test('text that is no HCL, and text without end, are refused', () => {
  for (const text of ['length = ', 'rule "charset" {', `# ${'x'.repeat(70_000)}`]) {
    assert.equal(parsePasswordPolicy(text).ok, false)
  }
})

test('every password fulfils every rule', async () => {
  const made = await Promise.all(Array.from({ length: 200 }, () => generatePassword(policy(defaultPolicyText))))
  for (const each of made) assert.match(each, /^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*-)[a-zA-Z0-9-]{20}$/)
  assert.equal(new Set(made).size, 200)
})

test('no character is likelier than another', async () => {
  // 200 characters: were bytes merely taken modulo 200, the first 56 would come twice as often as the others.
  const characters = Array.from({ length: 200 }, (_, at) => String.fromCodePoint(0x4e00 + at))
  const text = (
    await Promise.all(
      Array.from({ length: 1000 }, () => generatePassword(policy(`length = 100\n${charset(characters.join(''))}`))),
    )
  ).join('')
  const share = Array.from(text).filter((each) => characters.indexOf(each) < 56).length / 100_000
  // 0.28 expected; the deviation of 100,000 draws is 0.0014.
  assert.ok(Math.abs(share - 0.28) < 0.012, `share ${share}`)
})

test('looking for what cannot be found ends in time and lets others have their turn', async () => {
  const impossible = policy(
    `length = 100\n${charset('ab', 50)}${charset('cd', 50)}${charset('efghijklmnop'.repeat(5))}`,
  )
  let turns = 0
  const timer = setInterval(() => turns++, 5)
  await assert.rejects(generatePassword(impossible, Date.now() + 300), /timed out/)
  clearInterval(timer)
  // None at all while something blocks; a busy machine gives fewer than the sixty of a quiet one.
  assert.ok(turns > 2, `${turns} turns`)
})
