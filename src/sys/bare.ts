/** What a server answers without its barrier: init, unseal, seal-status, health, leader. No token, no envelope, no audit. */
import { GO_ZERO_TIME } from '#lib/time.ts'
import { apiVersion, buildDate } from '#lib/version.ts'
import { type Call, type Clock, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import type { InitOptions, InitResult, SealStatus } from '#sdk/seal.ts'
import { shareOf, textsOf } from './share-text.ts'

/** What the composition root lends to these paths. */
export interface BareServices {
  clock: Clock
  status(): SealStatus
  initialize(options: InitOptions): Promise<InitResult & { rootToken: string }>
  submitShare(share: Uint8Array, options: { migrate: boolean }): Promise<SealStatus>
  resetUnseal(): Promise<SealStatus>
  storageType: string
  /** Only known while unsealed. */
  cluster(): { name: string; id: string } | undefined
  /** What is wrong right now and makes requests fail, for people; `refusing`: nothing can be answered. */
  troubles(): { refusing: boolean; texts: string[] }
}

const noFields = {} satisfies Fields

const initFields = {
  secret_shares: { type: 'integer', about: 'Into how many shares the unseal key is split.', default: 0 },
  secret_threshold: { type: 'integer', about: 'How many of them unseal.', default: 0 },
  stored_shares: { type: 'integer', about: 'Only for compatibility.', default: 0 },
  recovery_shares: { type: 'integer', about: 'With auto-unseal: shares of the recovery key.', default: 0 },
  recovery_threshold: { type: 'integer', about: 'How many of them are needed.', default: 0 },
  pgp_keys: { type: 'strings', about: 'PGP keys to encrypt the shares to.' },
  recovery_pgp_keys: { type: 'strings', about: 'PGP keys to encrypt the recovery shares to.' },
  root_token_pgp_key: { type: 'string', about: 'PGP key to encrypt the root token to.' },
} satisfies Fields

const unsealFields = {
  key: { type: 'string', about: 'One share, in hex or base64.' },
  reset: { type: 'boolean', about: 'Forget the shares given so far.', default: false },
  migrate: { type: 'boolean', about: 'Shares are for a change of the seal.', default: false },
} satisfies Fields

/** Final ones: an informational status, 101 most of all, makes a proxy take the rest of the connection for something else. */
const code = (about: string) => ({ type: 'integer', about, query: true, min: 200, max: 599 }) as const
const healthFields = {
  // Their mere presence counts, whatever they say.
  standbyok: { type: 'any', about: 'A standby answers as if it were active.', query: true },
  perfstandbyok: { type: 'any', about: 'Accepted for compatibility.', query: true },
  activecode: code('Status when active.'),
  standbycode: code('Status when standby.'),
  drsecondarycode: code('Accepted for compatibility.'),
  performancestandbycode: code('Accepted for compatibility.'),
  removedcode: code('Accepted for compatibility.'),
  haunhealthycode: code('Accepted for compatibility.'),
  sealedcode: code('Status when sealed.'),
  uninitcode: code('Status when not initialised.'),
} satisfies Fields

export function barePaths(services: BareServices): Path[] {
  return [
    {
      pattern: 'sys/init',
      unauthenticated: true,
      operations: {
        read: endpoint('Whether the server is initialised.', noFields, async () =>
          bare({ initialized: services.status().initialized }),
        ),
        update: endpoint('Initialise it: make the keys and the first token.', initFields, (call) =>
          initialize(services, call),
        ),
      },
    },
    {
      pattern: 'sys/seal-status',
      unauthenticated: true,
      operations: {
        read: endpoint('Sealed or not, and how far unsealing is.', noFields, async () => sealStatus(services)),
      },
    },
    {
      pattern: 'sys/unseal',
      unauthenticated: true,
      operations: { update: endpoint('Give one share.', unsealFields, (call) => unseal(services, call)) },
    },
    {
      pattern: 'sys/health',
      unauthenticated: true,
      operations: {
        read: endpoint('For load balancers: the status says it all.', healthFields, async (call) =>
          health(services, call),
        ),
      },
    },
    {
      pattern: 'sys/leader',
      unauthenticated: true,
      operations: { read: endpoint('Who leads; every node is equal here.', noFields, async () => leader()) },
    },
  ]
}

function bare(data: Record<string, unknown>, status = 200): Reply {
  return { raw: { contentType: 'application/json', body: `${JSON.stringify(data)}\n`, status } }
}

async function initialize(services: BareServices, { data }: Call<typeof initFields>): Promise<Reply> {
  const { shares, recoveryShares, rootToken } = await services.initialize({
    shares: data.secret_shares,
    threshold: data.secret_threshold,
    storedShares: data.stored_shares,
    recoveryShares: data.recovery_shares,
    recoveryThreshold: data.recovery_threshold,
    pgpKeys: data.pgp_keys,
    recoveryPgpKeys: data.recovery_pgp_keys,
    rootTokenPgpKey: data.root_token_pgp_key,
  })
  const recovery = textsOf(recoveryShares)
  const reply = bare({
    ...textsOf(shares),
    ...(recoveryShares.length > 0 && {
      recovery_keys: recovery.keys,
      recovery_keys_base64: recovery.keys_base64,
    }),
    root_token: rootToken,
  })
  for (const share of [...shares, ...recoveryShares]) share.fill(0)
  return reply
}

async function unseal(services: BareServices, { data }: Call<typeof unsealFields>): Promise<Reply> {
  if (data.reset) {
    await services.resetUnseal()
    return sealStatus(services)
  }
  if (data.key === undefined || data.key === '') {
    throw new ApiError('invalid_request', `'key' must be specified in request body as JSON, or 'reset' set to true`)
  }
  const share = shareOf(data.key)
  try {
    await services.submitShare(share, { migrate: data.migrate })
  } finally {
    share.fill(0)
  }
  return sealStatus(services)
}

function sealStatus(services: BareServices): Reply {
  const status = services.status()
  const cluster = status.sealed ? undefined : services.cluster()
  return bare({
    type: status.type,
    initialized: status.initialized,
    sealed: status.sealed,
    t: status.threshold,
    n: status.shares,
    progress: status.progress,
    nonce: status.nonce,
    version: apiVersion,
    build_date: buildDate,
    migration: status.migration,
    ...(cluster && { cluster_name: cluster.name, cluster_id: cluster.id }),
    recovery_seal: status.recoverySeal,
    storage_type: services.storageType,
  })
}

function health(services: BareServices, { data }: Call<typeof healthFields>): Reply {
  const { initialized, sealed } = services.status()
  const cluster = sealed ? undefined : services.cluster()
  const { refusing, texts } = services.troubles()
  const body = {
    initialized,
    sealed,
    standby: sealed,
    performance_standby: false,
    replication_performance_mode: sealed ? 'unknown' : 'disabled',
    replication_dr_mode: sealed ? 'unknown' : 'disabled',
    server_time_utc: Math.floor(services.clock.now().getTime() / 1000),
    version: apiVersion,
    ...(cluster && { cluster_name: cluster.name, cluster_id: cluster.id }),
    ...(texts.length > 0 && { issues: texts }),
  }
  if (!initialized) return bare(body, data.uninitcode ?? 501)
  if (sealed) return bare(body, data.sealedcode ?? 503)
  return bare(body, refusing ? 503 : (data.activecode ?? 200))
}

function leader(): Reply {
  return bare({
    ha_enabled: false,
    is_self: false,
    active_time: GO_ZERO_TIME,
    leader_address: '',
    leader_cluster_address: '',
  })
}
