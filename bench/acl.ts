/**
 * What policies cost on the way of a request. Run: `bin/node bench/acl.ts`.
 *
 * Prints nanoseconds for a check by the ACL of a usual token, of one with many rules, and of one with many `+` rules; for
 * compiling; and for getting the ACL of a token from storage (memory behind a barrier).
 */
import { Acl } from '#core/policies/acl.ts'
import { defaultPolicyText } from '#core/policies/builtin.ts'
import { parsePolicy, type Policy } from '#core/policies/policy.ts'
import { Policies } from '#core/policies/store.ts'
import { identityExpander, type TemplateSubject } from '#core/policies/template.ts'
import type { AclRequest } from '#core/policies/verdict.ts'
import { openStore } from '#test/seal/support.ts'

const ROUNDS = 200_000

const appText = `path "secret/data/app/*" { capabilities = ["create", "read", "update"] }
path "secret/metadata/app/*" { capabilities = ["list"] }
path "transit/encrypt/app" { capabilities = ["update"] }`

const manyText = Array.from(
  { length: 1000 },
  (_, i) => `path "secret/data/team-${i}/*" { capabilities = ["read"] }`,
).join('\n')
const plusText = Array.from({ length: 100 }, (_, i) => `path "+/data/+/team-${i}/*" { capabilities = ["read"] }`).join(
  '\n',
)
const conditionsText = `path "secret/data/app/*" { capabilities = ["update"]
  allowed_parameters = { "a" = ["x*"], "b" = [] } required_parameters = ["a"] }`

function policy(name: string, text: string): Policy {
  const result = parsePolicy(name, text)
  if (!result.ok) throw new Error(result.message)
  return result.policy
}

async function nanosecondsOf(work: () => unknown, rounds = ROUNDS): Promise<number> {
  const results: number[] = []
  for (let batch = 0; batch < 5; batch += 1) {
    const started = process.hrtime.bigint()
    for (let round = 0; round < rounds; round += 1) work()
    results.push(Number(process.hrtime.bigint() - started) / rounds)
  }
  return Math.min(...results)
}

async function nanosecondsOfAsync(work: () => Promise<unknown>): Promise<number> {
  const results: number[] = []
  for (let batch = 0; batch < 5; batch += 1) {
    const started = process.hrtime.bigint()
    for (let round = 0; round < ROUNDS / 4; round += 1) await work()
    results.push(Number(process.hrtime.bigint() - started) / (ROUNDS / 4))
  }
  return Math.min(...results)
}

function print(name: string, nanoseconds: number): void {
  console.log(`${name.padEnd(52)} ${nanoseconds.toFixed(0).padStart(9)} ns`)
}

const expand = identityExpander({ entity: { id: 'e-1', name: 'anna', metadata: {}, aliases: [] }, groups: [] })
const subject: TemplateSubject = { key: 'e-1', expand }
const base = [policy('default', defaultPolicyText), policy('app', appText)]
const read = (path: string): AclRequest => ({ operation: 'read', path, body: {}, wrapTtlSeconds: undefined })

const usual = Acl.compile(base, { expand })
const withoutPlus = Acl.compile([policy('app', appText)])
const many = Acl.compile([...base, policy('many', manyText)], { expand })
const plus = Acl.compile([...base, policy('plus', plusText)], { expand })
const conditions = Acl.compile([policy('c', conditionsText)])

const requests = {
  granted: read('secret/data/app/database'),
  own: read('auth/token/lookup-self'),
  unknown: read('other/data/app/database'),
  team: read('secret/data/team-567/database'),
  plus: read('kv/data/x/team-99/database'),
}
const write: AclRequest = {
  operation: 'update',
  path: 'secret/data/app/x',
  body: { a: 'xyz', b: 1 },
  wrapTtlSeconds: undefined,
}

print('check, default + app: granted by a prefix', await nanosecondsOf(() => usual.check(requests.granted)))
print('check, default + app: granted by an exact path', await nanosecondsOf(() => usual.check(requests.own)))
print('check, default + app: refused', await nanosecondsOf(() => usual.check(requests.unknown)))
print('check, app alone', await nanosecondsOf(() => withoutPlus.check(requests.granted)))
print('check, with conditions on parameters', await nanosecondsOf(() => conditions.check(write)))
print('check, 1,000 more prefixes', await nanosecondsOf(() => many.check(requests.team)))
print('check, 100 more rules that begin with +', await nanosecondsOf(() => plus.check(requests.plus), ROUNDS / 10))
print('capabilities of a path', await nanosecondsOf(() => usual.capabilities('secret/data/app/database')))
print('compile default + app', await nanosecondsOf(() => Acl.compile(base, { expand }), ROUNDS / 100))
print('parse the default policy', await nanosecondsOf(() => parsePolicy('default', defaultPolicyText), ROUNDS / 1000))

const { barrier, clock } = await openStore()
const policies = new Policies(barrier.storage('core/policy/'), { clock })
await policies.setup()
await policies.put('app', appText)
const names = ['app', 'default']
print('ACL of a token with 2 policies, cached', await nanosecondsOfAsync(() => policies.acl(names, subject)))
print(
  'two reads of shared entries alone',
  await nanosecondsOfAsync(async () => {
    const storage = barrier.storage('core/policy/')
    await storage.getShared('app')
    await storage.getShared('default')
  }),
)
