/** `enable` and `tune` of `secrets` and `auth`: what a mount can be told about itself. */
import { parseDuration } from '#lib/duration.ts'
import { type Call, command } from '#cli/command.ts'
import { attempt, EXIT_OK } from '#cli/failure.ts'
import type { FlagValues } from '#cli/flags.ts'
import { cleanPath, mountPath } from '#cli/paths.ts'

/** Settings that every mount has. */
const shared = {
  'allowed-response-headers': {
    type: 'list',
    about: 'Header the mount may set on its replies. May be given several times.',
  },
  'audit-non-hmac-request-keys': {
    type: 'list',
    about: 'Field of requests to write to the audit log as it is instead of hashed. May be given several times.',
  },
  'audit-non-hmac-response-keys': { type: 'list', about: 'The same for replies.' },
  'default-lease-ttl': {
    type: 'duration',
    about: 'How long leases and tokens live if nobody says otherwise. -1: as the system has it.',
  },
  description: { type: 'string', about: 'What the mount is for.' },
  'identity-token-key': {
    type: 'string',
    about: 'For other servers: key that signs identity tokens. This server does not know it.',
  },
  'listing-visibility': {
    type: 'string',
    choices: ['', 'unauth', 'hidden'],
    about: 'unauth: shown to those who are not logged in; hidden: not.',
  },
  'max-lease-ttl': { type: 'duration', about: 'How long they can live at most. -1: as the system has it.' },
  options: { type: 'pairs', about: 'Option of the engine, as NAME=VALUE. May be given several times.' },
  'passthrough-request-headers': {
    type: 'list',
    about: 'Header of requests that the mount may see. May be given several times.',
  },
  'plugin-version': { type: 'string', about: 'Accepted for scripts that set it; engines are part of the server.' },
  'trim-request-trailing-slashes': {
    type: 'boolean',
    about: 'For other servers: take slashes at the end of paths away. This server does not know it.',
  },
} as const

const secretsOnly = {
  'allowed-managed-keys': {
    type: 'list',
    about: 'For other servers: managed key the mount may use. May be given several times.',
  },
  'delegated-auth-accessors': {
    type: 'list',
    about: 'For other servers: accessor of an auth method that the mount may log in by. May be given several times.',
  },
  version: { type: 'integer', about: 'Version of the engine, for kv: 1 or 2.' },
} as const

const authOnly = {
  'token-type': {
    type: 'string',
    choices: ['', 'default', 'service', 'batch', 'default-service', 'default-batch'],
    about: 'Type of the tokens that log-ins give.',
  },
} as const

const enableOnly = {
  'external-entropy-access': { type: 'boolean', default: false, about: 'Accepted for scripts that set it.' },
  'force-no-cache': { type: 'boolean', default: false, about: 'Accepted for scripts that set it.' },
  local: { type: 'boolean', default: false, about: 'Accepted for scripts that set it.' },
  path: { type: 'string', about: 'Where to mount it. The default is its type.' },
  'seal-wrap': {
    type: 'boolean',
    default: false,
    about: 'Accepted for scripts that set it; every entry is encrypted.',
  },
} as const

const lockout = {
  'user-lockout-counter-reset-duration': {
    type: 'duration',
    about: 'After this long without a failed log-in the count starts again.',
  },
  'user-lockout-disable': { type: 'boolean', about: 'Never lock users out.' },
  'user-lockout-duration': { type: 'duration', about: 'How long a user is locked out.' },
  'user-lockout-threshold': { type: 'integer', about: 'After how many failed log-ins.' },
} as const

const secretsEnableFlags = { ...shared, ...secretsOnly, ...enableOnly } as const
const secretsTuneFlags = { ...shared, ...secretsOnly } as const
const authEnableFlags = { ...shared, ...authOnly, ...enableOnly } as const
const authTuneFlags = { ...shared, ...authOnly, ...lockout } as const

export const enableSecrets = command({
  usage: '[options] TYPE',
  details:
    'Turns a secrets engine on, at a path of its own. Most engines need some configuration after that; see "path-help".',
  examples: [
    { about: 'At the path kv/, with versions:', words: 'strongroom secrets enable -version=2 kv' },
    { about: 'At another path:', words: 'strongroom secrets enable -path=ssh-prod ssh' },
  ],
  flags: secretsEnableFlags,
  output: 'none',
  arguments: { min: 1, max: 1 },
  async run(call) {
    const { flags, arguments: words, session, output } = call
    const type = words[0]!.trim()
    const path = mountPath(flags.path ?? type)
    const body = {
      type,
      ...enabling(call),
      config: { ...config(call), ...secretsConfig(flags), force_no_cache: flags['force-no-cache'] },
    }
    await attempt(
      'Error enabling',
      async () => await session.request('POST', `sys/mounts/${cleanPath(path)}`, { body }),
    )
    output.success(`Success! Enabled the ${type} secrets engine at: ${path}`)
    return EXIT_OK
  },
})

export const enableAuth = command({
  usage: '[options] TYPE',
  details:
    'Turns an auth method on, so that people or machines can log in by it. Most methods need some configuration after that; see "path-help".',
  examples: [{ about: 'At the path auth/machines/:', words: 'strongroom auth enable -path=machines approle' }],
  flags: authEnableFlags,
  output: 'none',
  arguments: { min: 1, max: 1 },
  async run(call) {
    const { flags, arguments: words, session, output } = call
    const type = words[0]!.trim()
    const path = mountPath(flags.path ?? type)
    const body = {
      type,
      ...enabling(call),
      config: { ...config(call), ...authConfig(flags), force_no_cache: flags['force-no-cache'] },
    }
    await attempt(
      `Error enabling ${type} auth`,
      async () => await session.request('POST', `sys/auth/${cleanPath(path)}`, { body }),
    )
    output.success(`Success! Enabled ${type} auth method at: ${path}`)
    return EXIT_OK
  },
})

export const tuneSecrets = command({
  usage: '[options] PATH',
  details:
    'Adjusts settings of the secrets engine at a path; what is not given stays. Read sys/mounts/PATH/tune to see them.',
  examples: [
    { about: 'Let leases live for a day:', words: 'strongroom secrets tune -default-lease-ttl=24h database/' },
  ],
  flags: secretsTuneFlags,
  output: 'none',
  arguments: { min: 1, max: 1 },
  async run(call) {
    const path = mountPath(call.arguments[0]!)
    const body = { ...config(call), ...described(call), ...secretsConfig(call.flags) }
    await attempt(
      `Error tuning secrets engine ${path}`,
      async () => await call.session.request('POST', `sys/mounts/${cleanPath(path)}/tune`, { body }),
    )
    call.output.success(`Success! Tuned the secrets engine at: ${path}`)
    return EXIT_OK
  },
})

export const tuneAuth = command({
  usage: '[options] PATH',
  details:
    'Adjusts settings of the auth method at a path; what is not given stays. Read sys/auth/PATH/tune to see them.',
  examples: [
    {
      about: 'Lock users out for ten minutes after ten failures:',
      words: 'strongroom auth tune -user-lockout-threshold=10 -user-lockout-duration=10m userpass/',
    },
  ],
  flags: authTuneFlags,
  output: 'none',
  arguments: { min: 1, max: 1 },
  async run(call) {
    const path = mountPath(call.arguments[0]!)
    const body = { ...config(call), ...described(call), ...authConfig(call.flags), ...lockoutConfig(call) }
    await attempt(
      `Error tuning auth method ${path}`,
      async () => await call.session.request('POST', `sys/mounts/auth/${cleanPath(path)}/tune`, { body }),
    )
    call.output.success(`Success! Tuned the auth method at: ${path}`)
    return EXIT_OK
  },
})

type SharedCall = Pick<Call<typeof shared>, 'flags' | 'given'>

/** Only what was given: a setting that is sent is a setting that is changed. */
function config({ flags, given }: SharedCall): Record<string, unknown> {
  const body: Record<string, unknown> = {}
  const text = (name: 'identity-token-key' | 'listing-visibility' | 'plugin-version') =>
    given.has(name) && (body[wire(name)] = flags[name])
  const list = (
    name:
      | 'allowed-response-headers'
      | 'audit-non-hmac-request-keys'
      | 'audit-non-hmac-response-keys'
      | 'passthrough-request-headers',
  ) => given.has(name) && (body[wire(name)] = flags[name].filter((each) => each !== ''))
  text('identity-token-key')
  text('listing-visibility')
  text('plugin-version')
  list('allowed-response-headers')
  list('audit-non-hmac-request-keys')
  list('audit-non-hmac-response-keys')
  list('passthrough-request-headers')
  if (flags['default-lease-ttl'] !== undefined) body['default_lease_ttl'] = ttl(flags['default-lease-ttl'])
  if (flags['max-lease-ttl'] !== undefined) body['max_lease_ttl'] = ttl(flags['max-lease-ttl'])
  if (flags['trim-request-trailing-slashes'] !== undefined)
    body['trim_request_trailing_slashes'] = flags['trim-request-trailing-slashes']
  return body
}

function enabling({
  flags,
}: {
  flags: FlagValues<typeof shared & typeof enableOnly> & { version?: number | undefined }
}): Record<string, unknown> {
  return {
    description: flags.description ?? '',
    local: flags.local,
    seal_wrap: flags['seal-wrap'],
    external_entropy_access: flags['external-entropy-access'],
    options: optionsOf(flags) ?? null,
  }
}

function described({
  flags,
  given,
}: SharedCall & { flags: { version?: number | undefined } }): Record<string, unknown> {
  const options = optionsOf(flags)
  return { ...(given.has('description') ? { description: flags.description } : {}), ...(options ? { options } : {}) }
}

function optionsOf(flags: {
  options: Record<string, string>
  version?: number | undefined
}): Record<string, string> | undefined {
  const options = { ...flags.options, ...(flags.version === undefined ? {} : { version: String(flags.version) }) }
  return Object.keys(options).length > 0 ? options : undefined
}

function secretsConfig(flags: FlagValues<typeof secretsOnly>): Record<string, unknown> {
  const body: Record<string, unknown> = {}
  for (const name of ['allowed-managed-keys', 'delegated-auth-accessors'] as const)
    if (flags[name].length > 0) body[wire(name)] = flags[name]
  return body
}

function authConfig(flags: FlagValues<typeof authOnly>): Record<string, unknown> {
  return flags['token-type'] ? { token_type: flags['token-type'] } : {}
}

function lockoutConfig({ flags, given }: Pick<Call<typeof lockout>, 'flags' | 'given'>): Record<string, unknown> {
  const user: Record<string, unknown> = {}
  const names = [
    'user-lockout-counter-reset-duration',
    'user-lockout-disable',
    'user-lockout-duration',
    'user-lockout-threshold',
  ] as const
  for (const name of names) {
    // The API has the threshold as text.
    if (given.has(name))
      user[wire(name).replace('user_', '')] = name === 'user-lockout-threshold' ? String(flags[name]) : flags[name]
  }
  return Object.keys(user).length > 0 ? { user_lockout_config: user } : {}
}

/** `default-lease-ttl` → `default_lease_ttl` */
function wire(name: string): string {
  return name.replaceAll('-', '_')
}

/** A negative time means: what the system has. */
function ttl(text: string): string {
  return (parseDuration(text) ?? 0) < 0 ? 'system' : text
}
