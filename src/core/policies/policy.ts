/**
 * Policies: their text, in HCL or JSON, and what it says. Pure. What several of them together allow is acl.ts.
 *
 * Refusals carry the texts of the Vault API, which clients and people search for.
 */
import { hclBlocks, parseHcl, type HclBlock, type HclObject } from '#lib/hcl.ts'
import { capabilityBits, isCapability, type Capability } from './capability.ts'
import { parseControlGroup, type ControlGroup } from './control-group.ts'
import { checkKeys, PolicyProblem, Stanza } from './stanza.ts'
import { checkTemplate } from './template.ts'

/** One `path` stanza. */
export interface PathRule {
  /** As written, without a slash at the start; `*` at the end and `+` segments are still in it. */
  path: string
  /** Has `{{…}}` in it. */
  templated: boolean
  capabilities: number
  /** 0: no bound. */
  minWrapTtlSeconds: number
  maxWrapTtlSeconds: number
  /** By lower-case name; undefined when the stanza has none. An empty list stands for any value. */
  allowed: ReadonlyMap<string, readonly unknown[]> | undefined
  denied: ReadonlyMap<string, readonly unknown[]> | undefined
  /** Lower case. */
  required: readonly string[]
  mfaMethods: readonly string[]
  controlGroup: ControlGroup | undefined
  /** The most entries a listing may ask for; 0: no bound. */
  paginationLimit: number
  /** Template of the path that decides whether an entry of a listing is shown. */
  keysFilterPath: string | undefined
  subscribeEventTypes: readonly string[]
  /** The stanza grants nothing from then on. */
  expiresAt: Date | undefined
}

export interface Policy {
  name: string
  paths: readonly PathRule[]
  /** Some path has a template, so that the policy means something else for each subject. */
  templated: boolean
}

export type ParsedPolicy = { ok: true; policy: Policy } | { ok: false; message: string }

/** Stanzas in one policy. */
const MAX_PATHS = 10_000

const pathKeys = new Set([
  'comment',
  'policy',
  'capabilities',
  'allowed_parameters',
  'denied_parameters',
  'required_parameters',
  'min_wrapping_ttl',
  'max_wrapping_ttl',
  'mfa_methods',
  'control_group',
  'subscribe_event_types',
  'pagination_limit',
  'list_scan_response_keys_filter_path',
  'expiration',
])

/** What `policy = "…"` stood for before there were capabilities. */
const oldPolicies: Record<string, readonly Capability[] | undefined> = {
  deny: ['deny'],
  read: ['read', 'list'],
  write: ['create', 'read', 'update', 'delete', 'list'],
  sudo: ['create', 'read', 'update', 'delete', 'list', 'sudo'],
}

/** @param name  what the policy is known by; a `name` in the text says nothing, as for Vault */
export function parsePolicy(name: string, text: string): ParsedPolicy {
  const parsed = parseHcl(text)
  if (!parsed.ok) {
    return { ok: false, message: `failed to parse policy: At ${parsed.line}:${parsed.column}: ${parsed.message}` }
  }
  try {
    checkKeys(parsed.value, new Set(['name', 'path']), '')
    const paths = pathBlocks(parsed.value).map(parsePath)
    if (paths.length > MAX_PATHS) throw new PolicyProblem(`more than ${MAX_PATHS} paths`)
    return { ok: true, policy: { name, paths, templated: paths.some((path) => path.templated) } }
  } catch (error) {
    if (!(error instanceof PolicyProblem)) throw error
    return { ok: false, message: `failed to parse policy: ${error.message}` }
  }
}

function pathBlocks(root: HclObject): HclBlock[] {
  return hclBlocks(root, 'path', 1, ({ line, column }) => {
    throw new PolicyProblem(`path "path": At ${line}:${column}: expected an object`)
  })
}

function parsePath({ labels, body }: HclBlock): PathRule {
  const written = labels[0] ?? 'path'
  const where = `path ${JSON.stringify(written)}: `
  checkKeys(body, pathKeys, where)
  const stanza = new Stanza(body, where)
  const templates = checkTemplate(written)
  if (!templates.ok) throw new PolicyProblem(`failed to validate policy templating: ${templates.message}`)
  const path = written.startsWith('/') ? written.slice(1) : written
  if (path.includes('+*')) throw new PolicyProblem(`${where}invalid use of wildcards ('+*' is forbidden)`)
  const capabilities = parseCapabilities(stanza, where)
  const minWrapTtlSeconds = stanza.duration('min_wrapping_ttl')
  const maxWrapTtlSeconds = stanza.duration('max_wrapping_ttl')
  if (minWrapTtlSeconds > 0 && maxWrapTtlSeconds > 0 && maxWrapTtlSeconds < minWrapTtlSeconds) {
    throw new PolicyProblem('max_wrapping_ttl cannot be less than min_wrapping_ttl')
  }
  const rule: PathRule = {
    path,
    templated: templates.templated,
    capabilities,
    minWrapTtlSeconds,
    maxWrapTtlSeconds,
    allowed: stanza.parameters('allowed_parameters'),
    denied: stanza.parameters('denied_parameters'),
    required: stanza.strings('required_parameters').map((name) => name.toLowerCase()),
    mfaMethods: stanza.strings('mfa_methods'),
    controlGroup: parseControlGroup(stanza.object('control_group'), capabilities, where),
    paginationLimit: stanza.count('pagination_limit'),
    keysFilterPath: stanza.string('list_scan_response_keys_filter_path') || undefined,
    subscribeEventTypes: stanza.strings('subscribe_event_types'),
    expiresAt: stanza.moment('expiration'),
  }
  // A refusal has no conditions: whatever else the stanza says, the path is closed.
  return capabilities === capabilityBits.deny ? { ...rule, ...unconditional } : rule
}

const unconditional = {
  minWrapTtlSeconds: 0,
  maxWrapTtlSeconds: 0,
  allowed: undefined,
  denied: undefined,
  required: [],
  mfaMethods: [],
  controlGroup: undefined,
  paginationLimit: 0,
  keysFilterPath: undefined,
} as const

function parseCapabilities(stanza: Stanza, where: string): number {
  const old = stanza.string('policy')
  const names = stanza.strings('capabilities')
  if (old) {
    const meaning = Object.hasOwn(oldPolicies, old) ? oldPolicies[old] : undefined
    if (!meaning) throw new PolicyProblem(`${where}invalid policy ${JSON.stringify(old)}`)
    names.push(...meaning)
  }
  let bits = 0
  for (const name of names) {
    if (!isCapability(name)) throw new PolicyProblem(`${where}invalid capability ${JSON.stringify(name)}`)
    bits |= capabilityBits[name]
  }
  return bits & capabilityBits.deny ? capabilityBits.deny : bits
}
