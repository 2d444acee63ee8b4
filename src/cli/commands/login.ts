/** `login`: gets a token, shows it and keeps it in ~/.vault-token. */
import type { ClientReply } from '#client/client.ts'
import { type Call, command } from '#cli/command.ts'
import { parseData } from '#cli/data-arguments.ts'
import { variableName } from '#cli/environment.ts'
import { attempt, CommandFailure, EXIT_LOCAL, EXIT_OK, UsageError } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { type LoginMethod, loginMethods } from '#cli/login-methods.ts'
import { cleanPath } from '#cli/paths.ts'
import { askSecret, readInput } from '#cli/prompt.ts'
import { toSecret } from '#cli/secret.ts'
import { writeTokenFile } from '#cli/token-file.ts'

const flags = {
  method: {
    type: 'string',
    default: 'token',
    about: 'Type of the auth method: token, approle, userpass… See "strongroom auth help TYPE".',
  },
  'no-print': { type: 'boolean', default: false, about: 'Keep the token, but do not show it.' },
  'no-store': { type: 'boolean', default: false, about: 'Show the token, but do not keep it.' },
  path: { type: 'string', about: 'Where the method is mounted. The default is its type.' },
  'token-only': {
    type: 'boolean',
    default: false,
    about: 'Print the token and nothing else, and do not keep it: short for -field=token -no-store.',
  },
} as const

export const login = command({
  usage: '[options] [TOKEN | K=V...]',
  details:
    'Logs in and keeps the token in ~/.vault-token, where the commands that follow find it. What a method needs is given as pairs; secrets that are left out are asked for and not shown while typed. Delete the file to log out.',
  examples: [
    { about: 'With a token:', words: 'strongroom login' },
    { about: 'With a user name and a password:', words: 'strongroom login -method=userpass username=bob' },
    {
      about: 'As a machine, with the secret in a file:',
      words: 'strongroom login -method=approle role_id=f6b1a3 secret_id=@secret-id',
    },
  ],
  flags,
  output: 'field',
  arguments: { min: 0, max: Infinity },
  async run(call) {
    const { flags: given } = call
    const quiet = given['token-only']
    let reply = given.method === 'token' ? await byToken(call) : await byMethod(call)
    const wrapping = toSecret(reply.json).wrap_info
    if (wrapping) {
      if (quiet) return await call.output.value({ token: wrapping['token'] }, 'token')
      if (given['no-store']) return await call.output.reply(reply)
      reply = await attempt(
        'Error unwrapping',
        async () => await call.session.ask('PUT', 'sys/wrapping/unwrap', { token: String(wrapping['token']) }),
      )
    }
    if (isObject(toSecret(reply.json).auth?.['mfa_requirement'])) {
      const { confirmLogin } = await import('#cli/login-mfa.ts')
      const confirmed = await confirmLogin(call, reply)
      if (!confirmed) return await call.output.reply(reply)
      reply = confirmed
    }
    return await finish(call, reply)
  },
})

type LoginCall = Call<typeof flags>

async function finish({ flags: given, session, output }: LoginCall, reply: ClientReply): Promise<number> {
  const token = toSecret(reply.json).auth?.['client_token']
  if (typeof token !== 'string' || token === '') throw new CommandFailure('The server returned no token')
  const store = !given['no-store'] && !given['token-only']
  if (store) await writeTokenFile(token)
  session.useToken(token)
  if (given['token-only']) return await output.value({ token }, 'token')
  const override = store ? variableName('TOKEN') : undefined
  if (override)
    output.warn(
      `WARNING! ${override} is set and wins over the token that was kept now. Unset it, or set it to the new token.\n`,
    )
  if (given['no-print']) return EXIT_OK
  if (output.field === undefined && output.format === 'table') {
    output.success(
      store
        ? 'Success! You are now authenticated. The token below is already stored: the commands that follow\nuse it, and there is no need to run "strongroom login" again.\n'
        : 'Success! You are now authenticated. The token below was not stored: set STRONGROOM_TOKEN to it for\nthe commands that follow.\n',
    )
  }
  return await output.reply(reply)
}

/** A token is no log-in: look at it, and tell it in the form of one. */
async function byToken({ flags: given, arguments: words, session, interactive }: LoginCall): Promise<ClientReply> {
  if (words.length > 1) throw new UsageError(`Too many arguments (expected 0 or 1, got ${words.length})`)
  const token = await tokenOf(words[0], interactive)
  // The one who asks for nothing but the token gets it without a word to the server.
  if (given['token-only']) return asReply({ client_token: token })
  session.useToken(token)
  const reply = await attempt(
    'Error authenticating: error looking up token',
    async () => await session.request('GET', 'auth/token/lookup-self'),
  )
  if (toSecret(reply.json).wrap_info) return reply
  const data = toSecret(reply.json).data ?? {}
  const policies = Array.isArray(data['policies']) ? data['policies'] : []
  const identity = Array.isArray(data['identity_policies']) ? data['identity_policies'] : []
  return asReply({
    client_token: token,
    accessor: data['accessor'] ?? '',
    policies: [...new Set([...policies, ...identity])],
    token_policies: policies,
    identity_policies: identity,
    metadata: data['meta'] ?? null,
    lease_duration: data['ttl'] ?? 0,
    renewable: data['renewable'] === true,
    entity_id: data['entity_id'] ?? '',
    token_type: data['type'] ?? '',
    orphan: data['orphan'] === true,
  })
}

function asReply(auth: Record<string, unknown>): ClientReply {
  const json = { request_id: '', lease_id: '', lease_duration: 0, renewable: false, data: null, warnings: null, auth }
  return { status: 200, headers: {}, text: JSON.stringify(json), json }
}

async function tokenOf(word: string | undefined, interactive: boolean): Promise<string> {
  const given = word?.startsWith('token=') ? word.slice('token='.length) : word
  const token = given === undefined ? await askSecret('Token', interactive) : given === '-' ? await readInput() : given
  if (token.trim() === '') throw new CommandFailure('A token must be passed to auth', EXIT_LOCAL)
  return token.trim()
}

async function byMethod(call: LoginCall): Promise<ClientReply> {
  const { flags: given, arguments: words, session } = call
  const name = given.method.toLowerCase()
  const method = Object.hasOwn(loginMethods, name) ? loginMethods[name]! : undefined
  const data = method ? await complete(method, await parseData(words), call.interactive) : await parseData(words)
  const mount = cleanPath(given.path ?? name)
  const { username, ...rest } = data
  const inPath = method?.userInPath ? `/${String(username)}` : ''
  const body = method?.userInPath ? rest : data
  // Without the token of last time, which has no say in this and need not be shown.
  return await attempt(
    'Error authenticating',
    async () => await session.request('PUT', `auth/${mount}/login${inPath}`, { body, token: '' }),
  )
}

async function complete(
  method: LoginMethod,
  given: Record<string, unknown>,
  interactive: boolean,
): Promise<Record<string, unknown>> {
  const data = { ...given }
  for (const { name, secret, required } of method.fields) {
    if (data[name] !== undefined) continue
    if (name === 'username') data[name] = process.env['LOGNAME'] || process.env['USER']
    else if (secret && (required || (process.stdin.isTTY && interactive))) {
      const text = await askSecret(name[0]!.toUpperCase() + name.slice(1), interactive)
      if (text !== '') data[name] = text
    }
    if (required && !data[name]) throw new UsageError(`"${name}" is missing: give it as ${name}=VALUE`)
  }
  return data
}
