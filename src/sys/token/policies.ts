/** Which policies a new token gets: its parent's at most, unless its maker has sudo or a role says otherwise. Pure. */
import { sanitizePolicies } from '#core/tokens/token.ts'
import { matchesGlob, type RoleEntry } from './role.ts'
import { refuse } from './services.ts'

export interface PolicyRequest {
  asked: readonly string[]
  noDefault: boolean
  parent: readonly string[]
  sudo: boolean
  role: RoleEntry | undefined
}

/** Policies of the program itself, which only it may give. */
const notAssignable = ['response-wrapping', 'control-group']

/** @throws ApiError `invalid_request` for policies the caller may not give */
export function policiesFor(request: PolicyRequest): string[] {
  const { noDefault, parent } = request
  const given = request.role && restricts(request.role) ? byRole(request, request.role) : byParent(request)
  const policies = noDefault ? given.filter((name) => name !== 'default') : given
  for (const name of policies) if (notAssignable.includes(name)) refuse(`cannot assign policy "${name}"`)
  if (policies.includes('root') && !parent.includes('root')) {
    refuse('root tokens may not be created without parent token being root')
  }
  return policies
}

function restricts(role: RoleEntry): boolean {
  const lists = [
    role.allowed_policies,
    role.disallowed_policies,
    role.allowed_policies_glob,
    role.disallowed_policies_glob,
  ]
  return lists.some((list) => list.length > 0)
}

/** A role with lists decides alone: what it allows need not be among the parent's. */
function byRole({ asked, noDefault, parent }: PolicyRequest, role: RoleEntry): string[] {
  const disallowed = (name: string) =>
    role.disallowed_policies.includes(name) || matchesGlob(role.disallowed_policies_glob, name)
  const addDefault = !noDefault && !role.token_no_default_policy && !disallowed('default')
  let policies = asked.length > 0 ? sanitizePolicies(asked, addDefault) : []
  if (role.allowed_policies.length > 0 || role.allowed_policies_glob.length > 0) {
    const allowed = sanitizePolicies(role.allowed_policies, addDefault)
    if (policies.length === 0) policies = allowed
    const fits = (name: string) => allowed.includes(name) || matchesGlob(role.allowed_policies_glob, name)
    if (!policies.every(fits)) {
      const [wanted, fixed, globs] = [policies, allowed, role.allowed_policies_glob].map(quoted)
      refuse(
        `token policies (${wanted}) must be subset of the role's allowed policies (${fixed}) or glob policies (${globs})`,
      )
    }
  } else if (policies.length === 0) {
    policies = sanitizePolicies(parent, addDefault)
  }
  for (const name of policies) if (disallowed(name)) refuse(`token policy "${name}" is disallowed by this role`)
  return policies
}

function byParent({ asked, noDefault, parent, sudo, role }: PolicyRequest): string[] {
  const withoutDefault = noDefault || role?.token_no_default_policy === true
  if (asked.length === 0) return sanitizePolicies(parent, false)
  if (sudo) return sanitizePolicies(asked, !withoutDefault)
  const held = sanitizePolicies(parent, false)
  if (!sanitizePolicies(asked, false).every((name) => held.includes(name)))
    refuse('child policies must be subset of parent')
  return sanitizePolicies(asked, !withoutDefault && held.includes('default'))
}

/** `["a" "b"]`, as Go prints a list of quoted strings. */
function quoted(names: readonly string[]): string {
  return `[${names.map((name) => JSON.stringify(name)).join(' ')}]`
}
