/** What a command is: one description of its usage, flags and text, from which parsing and help both come. */
import type { Flags, FlagValues } from './flags.ts'
import type { Output } from './output.ts'
import type { Session } from './session.ts'

export interface Command {
  /** What follows the name: `[options] KEY`. */
  usage: string
  /** Paragraphs below the one line that the registry has. */
  details: string
  examples?: readonly { about: string; words: string }[]
  flags: Flags
  /** Which of the shared output flags it takes: none, `-format`, or `-format` and `-field`. */
  output: 'none' | 'format' | 'field'
  /** Never talks to a server, so takes no flags for that. */
  offline?: true
  /** How many arguments may be given. */
  arguments: { min: number; max: number }
  run(call: Call): Promise<number>
}

export interface Call<F extends Flags = Flags> {
  flags: FlagValues<F>
  /** Names of flags that stood on the command line. */
  given: ReadonlySet<string>
  arguments: readonly string[]
  session: Session
  output: Output
  /** Whether somebody may be asked. */
  interactive: boolean
}

/** Joins a command to the flags that type its call. */
export function command<F extends Flags>(
  description: Omit<Command, 'flags' | 'run'> & { flags: F; run: (call: Call<F>) => Promise<number> },
): Command {
  // `run` only ever gets what parseFlags made of these same flags.
  return description as unknown as Command
}

/** Shared by every command that talks to a server. */
export const httpFlags = {
  address: {
    type: 'string',
    default: 'https://127.0.0.1:8200',
    variable: 'ADDR',
    about: 'Address of the server: http://HOST:PORT, https://HOST:PORT or unix:///PATH.',
  },
  'ca-cert': {
    type: 'string',
    variable: 'CACERT',
    about: 'PEM file with the certificate authorities to trust instead of those of the system. Wins over -ca-path.',
  },
  'ca-path': { type: 'string', variable: 'CAPATH', about: 'Directory of such PEM files.' },
  'client-cert': {
    type: 'string',
    variable: 'CLIENT_CERT',
    about: 'PEM file with the client certificate to show; needs -client-key.',
  },
  'client-key': {
    type: 'string',
    variable: 'CLIENT_KEY',
    about: 'PEM file with the private key of -client-cert, not encrypted.',
  },
  'disable-redirects': {
    type: 'boolean',
    default: false,
    variable: 'DISABLE_REDIRECTS',
    about: 'Do not follow redirects.',
  },
  header: {
    type: 'list',
    about: 'Header to send, as NAME=VALUE. May be given several times. Names that begin with X-Vault- are refused.',
  },
  mfa: {
    type: 'list',
    variable: 'MFA',
    about: 'Credentials for multi-factor authentication, sent as X-Vault-MFA. May be given several times.',
  },
  namespace: {
    type: 'string',
    aliases: ['ns'],
    variable: 'NAMESPACE',
    about: 'Namespace to work in; paths are then relative to it. This server has only the root namespace.',
  },
  'non-interactive': { type: 'boolean', default: false, about: 'Never ask anything on the terminal.' },
  'output-curl-string': {
    type: 'boolean',
    default: false,
    about: 'Print the request as a curl command instead of sending it.',
  },
  'output-policy': {
    type: 'boolean',
    default: false,
    about: 'Print the policy that the request needs instead of sending it.',
  },
  'policy-override': {
    type: 'boolean',
    default: false,
    about: 'For other servers: override policies that are enforced softly.',
  },
  'tls-server-name': {
    type: 'string',
    variable: 'TLS_SERVER_NAME',
    about: 'Name to expect in the certificate, where it is not that of the address.',
  },
  'tls-skip-verify': {
    type: 'boolean',
    default: false,
    variable: 'SKIP_VERIFY',
    about: 'Accept any certificate. Anybody between you and the server can then read along.',
  },
  'wrap-ttl': {
    type: 'duration',
    variable: 'WRAP_TTL',
    about: 'Wrap the reply in a token that is good once and for this long, e.g. 30s or 5m.',
  },
} as const satisfies Flags

export const formatFlags = {
  format: {
    type: 'string',
    default: 'table',
    choices: ['table', 'json', 'yaml', 'raw'],
    variable: 'FORMAT',
    about: 'How to print: table, json, yaml, or raw (the reply as it came).',
  },
} as const satisfies Flags

export const fieldFlags = {
  field: {
    type: 'string',
    about: 'Print only this field, without a line break unless it goes to a terminal. Wins over the table of -format.',
  },
} as const satisfies Flags

export type HttpFlags = FlagValues<typeof httpFlags>

/** Every flag a command takes, own and shared. */
export function allFlags(command: Command): Flags {
  return {
    ...(command.offline ? {} : httpFlags),
    ...(command.output === 'none' ? {} : formatFlags),
    ...(command.output === 'field' ? fieldFlags : {}),
    ...command.flags,
  }
}
