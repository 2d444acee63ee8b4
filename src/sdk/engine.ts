/**
 * What a secrets engine or an auth method is to the rest of the system: a named table of paths.
 * An engine sees its Mount and nothing else; it never learns about HTTP, other mounts or policies.
 */
import type { Data, Fields } from '#sdk/schema.ts'
import type { Storage } from '#sdk/storage.ts'

/**
 * What a request wants. `create` is an update of something that is not there yet: only paths that say `exists` tell the
 * two apart, and policies judge them separately. Handlers are registered under `update` for both.
 */
export type Operation = 'read' | 'list' | 'scan' | 'create' | 'update' | 'patch' | 'delete' | 'help'

/** What handlers are registered under. */
export type Verb = 'read' | 'list' | 'scan' | 'update' | 'patch' | 'delete'

export interface Clock {
  now(): Date
}

export interface MountSettings {
  /** Seconds; never 0: the system's own value where the mount has none. */
  defaultLeaseTtlSeconds: number
  maxLeaseTtlSeconds: number
  /** `options` of the mount, e.g. `{ version: '2' }`. */
  options: Readonly<Record<string, string>>
}

/** The part of the world given to one mounted engine. */
export interface Mount {
  /** Full path with a slash at the end: `secret/`, `auth/approle/`. */
  path: string
  uuid: string
  accessor: string
  settings(): MountSettings
  /** Encrypted, and below this mount's own prefix. */
  storage: Storage
  clock: Clock
  /** Always there in a server; engines that are tried on their own may have none. */
  passwords?: Passwords
  /** The same. */
  templates?: Templates
}

/** Fills in what engines allow by who asks: `{{identity.entity.name}}` and all else that policies may name. */
export interface Templates {
  /**
   * @param entityId  of the caller; empty: none, for whom no template stands for anything
   * @returns undefined when a template in the text stands for nothing, or for what would act as a wildcard
   */
  fill(text: string, entityId: string): Promise<string | undefined>
}

/** Makes passwords for other systems. */
export interface Passwords {
  /**
   * @param policy  name of a policy of `sys/policies/password`; without it 20 letters, digits and dashes
   * @throws ApiError `not_found` when there is no such policy, `internal` when it cannot be fulfilled
   */
  generate(policy?: string): Promise<string>
}

/** Who asks. Undefined in a call to a path without authentication. */
export interface Caller {
  accessor: string
  displayName: string
  entityId: string
  policies: readonly string[]
  metadata: Readonly<Record<string, string>>
  /** Name of the storage area that lives and dies with this token. */
  cubbyhole: string
}

export interface Call<F extends Fields = Fields> {
  mount: Mount
  operation: Operation
  /** Below the mount, without a slash at the start. */
  path: string
  /** Decoded and checked; names in the path, such as `:name`, are among the fields. */
  data: Data<F>
  /** The whole body (and query) as it came, for engines that keep it, and to tell a field given as null from none. */
  body: Record<string, unknown>
  /** The text of the body, for what JSON numbers lose in JavaScript. Empty when there was none. */
  bodyText: string
  caller: Caller | undefined
  /** Only on paths that say `seesToken`. */
  token: string | undefined
  remoteAddress: string
  /** Those that the mount is set to hand on (`passthrough_request_headers`), names in lower case. */
  headers?: Readonly<Record<string, string | string[] | undefined>>
  /** Whether the reply will be wrapped (X-Vault-Wrap-TTL). */
  wrapped: boolean
  /** The listener is not to tell which version this is. */
  hidesVersion?: boolean
  /** Only on paths that say `asksRights`. */
  rights?: Rights | undefined
}

/** What the caller of a request may do in this mount besides. Paths are below the mount. */
export interface Rights {
  may(operation: 'read' | 'list' | 'update' | 'delete', path: string): boolean
  /** Whether policies give the caller `sudo` there, for what only sometimes needs it. */
  maySudo(path: string): boolean
  /** Whether a listing of the folder (empty, or with a slash at its end) would show the caller this name. */
  sees(folder: string, name: string): boolean
}

/** What an auth method grants; request/login.ts makes the token of it. All times in seconds, 0: not set. */
export interface Grant {
  displayName: string
  policies: readonly string[]
  noDefaultPolicy?: boolean
  metadata: Record<string, string>
  /** Under which the log-in was made, where the method has roles; quotas go by it. */
  role?: string
  /** Name of the identity alias: what this caller is called by the auth method, e.g. a role id or user name. */
  alias?: { name: string; metadata?: Record<string, string> }
  ttlSeconds: number
  maxTtlSeconds: number
  periodSeconds: number
  explicitMaxTtlSeconds: number
  numUses: number
  renewable: boolean
  tokenType: 'default' | 'default-service' | 'default-batch' | 'service' | 'batch'
  boundCidrs: readonly string[]
  /** Kept with the token and handed back to `renew`. */
  internal: Record<string, unknown>
}

/** The `auth` block of a reply, as it goes out: a token was made or renewed. */
export interface AuthBlock {
  client_token: string
  accessor: string
  policies: string[]
  token_policies: string[]
  identity_policies?: string[]
  metadata: Record<string, string> | null
  lease_duration: number
  renewable: boolean
  entity_id: string
  token_type: string
  orphan: boolean
  mfa_requirement: null
  num_uses: number
}

/** The `wrap_info` block of a reply: what was to be said waits behind this token. */
export interface WrapInfo {
  token: string
  accessor: string
  /** Seconds. */
  ttl: number
  creation_time: string
  creation_path: string
  wrapped_accessor?: string
}

export interface Reply {
  /**
   * Absent: nothing there (404 for a read or list) or nothing to say (204 for a change). An object in it that is frozen must
   * be so through and through: audit lines keep their text of it by its identity.
   */
  data?: Record<string, unknown>
  warnings?: string[]
  /** A log-in was right; the pipeline makes the token and the auth block. */
  grant?: Grant
  /** The finished auth block, from the token paths. */
  auth?: AuthBlock
  /** Ask core to track what was made and to hand `revoke` back when it ends. */
  lease?: { ttlSeconds: number; maxTtlSeconds: number; renewable: boolean; revoke: Record<string, unknown> }
  /** The reply is wrapped already. */
  wrapInfo?: WrapInfo
  /** A lease that is tracked already was renewed: how it stands now. */
  renewed?: { leaseId: string; ttlSeconds: number; renewable: boolean }
  /** Accessor of the credential in `data`: told beside a wrapping token, so that it can be destroyed unseen. */
  accessor?: string
  /** `lease_duration` of a reply that has no lease, in seconds (KV v1 says how often to look again). */
  refreshSeconds?: number
  /** With data, a status other than 200: KV v2 answers 404 with the metadata of a deleted version. */
  status?: number
  /**
   * The only copy of what has replaced what was there: new keys. It leaves even if its own line cannot be recorded any
   * more. The line of the request was, before anything was done.
   */
  onlyCopy?: true
  /**
   * Instead of JSON. A `stream` goes on until one side ends it, and must not begin before it is read: a reply that cannot be
   * recorded is dropped unread.
   */
  raw?: { contentType: string; body: Uint8Array | string; status?: number; stream?: AsyncIterable<string> }
}

export type Handler<F extends Fields> = (call: Call<F>) => Promise<Reply>

export interface Endpoint<F extends Fields = Fields> {
  about: string
  fields: F
  handle: Handler<F>
}

export interface Path {
  /**
   * Below the mount. `keys/:name` takes one level, a last part `*path` all that is left (at least one character; for list
   * and scan also none). Literal parts win over `:name`, both over `*path`. Every name is a field of each endpoint here.
   * Listings come with or without a slash at the end; patterns are written without.
   */
  pattern: string
  /** Title for path help; the endpoints' own texts follow it. */
  about?: string
  operations: Partial<Record<Verb, Endpoint>>
  /** Answered without a token: log-ins and the like. */
  unauthenticated?: true
  /** Under which name a log-in here counts towards the lock-out of users: as the alias will be called. Empty: under none. */
  loginName?: (call: Call) => string
  /** Needs the `sudo` capability besides. */
  sudo?: true
  /** The handlers get the caller's token itself (`Call.token`): for the system's own paths about tokens, nobody else's. */
  seesToken?: true
  /** The handlers get what the caller may do besides (`Call.rights`): for those that tell of, or change, what other paths guard. */
  asksRights?: true
  /** The members of `data` stand at the top of the reply as well, as old clients of some `sys/` paths expect. */
  repeatsData?: true
  /**
   * Its read, list and scan handlers change nothing anywhere, not even outside. Such a request needs to be on record before
   * its reply leaves, not before the handler looks: both lines then share one wait for the disk.
   */
  readsOnly?: true
  /** The same of its update handlers: they only compute (encrypt, sign). What the request is told as `create` is not meant. */
  computesOnly?: true
  /** Each of its changes makes a lease or a token, so that lease quotas keep a place for it before it is called. */
  makesLeases?: true
  /** Takes any names in the body: none is told as unknown. */
  arbitrary?: true
  /** Tells create from update, for policies. Without it a change is always an update. */
  exists?: (call: Call) => Promise<boolean>
}

export interface Engine {
  /** `type` of the mount, e.g. `kv`. */
  name: string
  about: string
  /** For one mount: engines may answer differently by its options (KV v1 and v2). */
  paths(settings: MountSettings): readonly Path[]
  /** Called when the mount is made or its options change; may refuse options or convert what is stored. */
  prepare?: (mount: Mount) => Promise<void>
  /** Auth methods: whether a token of this method may go on, with a new grant or the reason why not. */
  renew?: (call: { mount: Mount; grant: Grant }) => Promise<Grant>
  /**
   * Auth methods with roles: the role that a request would log in under, by its body alone and before anything of it is
   * proven; undefined when it is no log-in or there is no such role. For quotas of roles.
   */
  resolveRole?: (call: {
    mount: Mount
    /** Below the mount. */
    path: string
    body: Readonly<Record<string, unknown>>
  }) => Promise<string | undefined>
  /** Secrets engines with leases: take back, or extend, what `Reply.lease` described. */
  revokeLease?: (call: { mount: Mount; revoke: Record<string, unknown> }) => Promise<void>
  renewLease?: (call: { mount: Mount; revoke: Record<string, unknown>; ttlSeconds: number }) => Promise<void>
  /** Every few seconds in each process, and before it stops: write down what is kept in memory. */
  flush?: (mount: Mount) => Promise<void>
  /** Background work, at most once a minute on one node: remove what has expired. */
  tidy?: (mount: Mount) => Promise<void>
}

/** Joins a handler to the fields that type its data. */
export function endpoint<F extends Fields>(about: string, fields: F, handle: Handler<F>): Endpoint {
  return { about, fields, handle: handle as Handler<Fields> }
}
