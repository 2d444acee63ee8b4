/**
 * New shares: `sys/rekey/` and `sys/rekey-recovery-key/`, which take no token and answer without an envelope, and the same
 * as `sys/rotate/root/` and `sys/rotate/recovery/` with both. Whoever holds enough shares may do it; who holds none can
 * start, hinder and cancel. So the first two can be put behind a token as well (`disable_unauthed_rekey_endpoints`).
 */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import type { Rekeying, RekeyResult, RekeyStatus, SealKeys, VerificationStatus } from '#sdk/seal-keys.ts'
import { textsOf, withShare } from './share-text.ts'

/** What the composition root lends to these paths. */
export interface RekeyServices {
  sealKeys: SealKeys
  /** Without a token, as the API has it. */
  unauthedRekey: boolean
}

const noFields = {} satisfies Fields
const cancelFields = {
  nonce: {
    type: 'string',
    about: 'Of the rekey to cancel; without it whichever is under way.',
    query: true,
    default: '',
  },
} satisfies Fields
const startFields = {
  secret_shares: { type: 'integer', about: 'Into how many shares the new key is split.', default: 0 },
  secret_threshold: { type: 'integer', about: 'How many of them are needed.', default: 0 },
  stored_shares: { type: 'integer', about: 'Only for compatibility.', default: 0 },
  pgp_keys: {
    type: 'strings',
    about: 'PGP keys to encrypt the shares to, one for each: base64 of the public key in binary.',
    default: [],
  },
  backup: { type: 'boolean', about: 'Keep the encrypted shares in the store.', default: false },
  require_verification: {
    type: 'boolean',
    about: 'The new shares become valid only when enough of them were given back.',
    default: false,
  },
} satisfies Fields
const shareFields = {
  key: { type: 'string', about: 'One share, in hex or base64.', default: '' },
  nonce: { type: 'string', about: 'Of the operation that the share is meant for.', default: '' },
} satisfies Fields

type Which = () => Rekeying

/** How the two families answer: with an envelope or without. */
type Answer = (data: Record<string, unknown>) => Reply

const bare: Answer = (data) => ({
  // The audit tells the data, hashed as ever; the client gets it without an envelope.
  data,
  raw: { contentType: 'application/json', body: `${JSON.stringify(data)}\n` },
})
const enveloped: Answer = (data) => ({ data })

export function rekeyPaths(services: RekeyServices): Path[] {
  const { sealKeys, unauthedRekey } = services
  const barrier: Which = () => sealKeys.barrier
  const recovery: Which = () => sealKeys.recovery()
  const open = unauthedRekey ? ({ unauthenticated: true } as const) : {}
  const startOpenly: Start = async (rekeying, call) => {
    if (unauthedRekey) checkConsent(rekeying)
    return await start(rekeying, call)
  }
  const rotateRoot = endpoint('A new root key under the same shares.', noFields, async () => {
    await sealKeys.rotateRootKey()
    return {}
  })
  return [
    ...operationPaths('rekey', barrier, bare, start).map((path) => ({ ...path, ...open })),
    ...operationPaths('rekey-recovery-key', recovery, bare, startOpenly).map((path) => ({ ...path, ...open })),
    ...operationPaths('rotate/root', barrier, enveloped, start),
    ...operationPaths('rotate/recovery', recovery, enveloped, startOrBegin).map((path) => ({
      ...path,
      asksRights: true as const,
    })),
    { pattern: 'rotate/root', sudo: true, operations: { update: rotateRoot } },
    { ...backupPath('rekey/backup', barrier), repeatsData: true },
    { ...backupPath('rekey/recovery-key-backup', recovery), repeatsData: true },
    backupPath('rotate/root/backup', barrier),
    backupPath('rotate/recovery/backup', recovery),
  ]
}

type Start = typeof start

function operationPaths(prefix: string, which: Which, answer: Answer, begin: Start): Path[] {
  const status = async () => answer(statusData(which().status()))
  return [
    {
      pattern: `${prefix}/init`,
      operations: {
        read: endpoint('What is under way, and how far it is.', noFields, status),
        update: endpoint('Begin to make new shares.', startFields, async (call) => {
          const result = await begin(which(), call)
          return result ? resultReply(result, answer) : await status()
        }),
        delete: endpoint('Give up what is under way; the present shares stay.', cancelFields, async ({ data }) => {
          await which().cancel(data.nonce)
          return {}
        }),
      },
    },
    {
      pattern: `${prefix}/update`,
      operations: {
        update: endpoint('Give one of the present shares.', shareFields, async ({ data }) => {
          const result = await withShare(data.key, (share) => which().submit(share, data.nonce))
          return result ? resultReply(result, answer) : await status()
        }),
      },
    },
    verifyPath(prefix, which, answer),
  ]
}

function verifyPath(prefix: string, which: Which, answer: Answer): Path {
  return {
    pattern: `${prefix}/verify`,
    operations: {
      read: endpoint('How many of the new shares were given back.', noFields, async () =>
        answer(verificationData(which().verification())),
      ),
      update: endpoint('Give one of the new shares back.', shareFields, async ({ data }) => {
        const result = await withShare(data.key, (share) => which().verify(share, data.nonce))
        return answer(result ? { ...result } : verificationData(which().verification()))
      }),
      delete: endpoint('Forget the new shares given back so far.', noFields, async () =>
        answer(verificationData(await which().restartVerification())),
      ),
    },
  }
}

function backupPath(pattern: string, which: Which): Path {
  return {
    pattern,
    operations: {
      read: endpoint('The shares that were kept, encrypted to PGP keys.', noFields, async () => {
        const backup = await which().readBackup()
        if (!backup) throw new ApiError('invalid_request', 'no backed-up keys found')
        const entries = Object.entries(backup.keys)
        return {
          data: {
            nonce: backup.nonce,
            keys: backup.keys,
            keys_base64: Object.fromEntries(entries.map(([name, list]) => [name, list.map(hexToBase64)])),
          },
        }
      }),
      delete: endpoint('Remove them.', noFields, async () => {
        await which().deleteBackup()
        return {}
      }),
    },
  }
}

/**
 * Where there are no recovery keys yet, new ones are made at once, and whoever has them can make a root token: so without a
 * token that must not be.
 */
function checkConsent(rekeying: Rekeying): void {
  if (rekeying.status().required > 0) return
  throw new ApiError(
    'invalid_request',
    'no recovery keys are configured: the first ones are made with a token, by sys/rotate/recovery/init',
  )
}

/** Whoever gets the first recovery keys can make a root token with them: that is for those who may do everything. */
async function startOrBegin(rekeying: Rekeying, call: Call<typeof startFields>): Promise<RekeyResult | undefined> {
  if (rekeying.status().required === 0 && !call.rights?.maySudo('rotate/recovery/init')) {
    const reason = 'the first recovery keys are made by those with the sudo capability on this path'
    throw new ApiError('permission_denied', 'permission denied', { reason })
  }
  return await start(rekeying, call)
}

async function start(rekeying: Rekeying, { data }: Call<typeof startFields>): Promise<RekeyResult | undefined> {
  return await rekeying.start({
    shares: data.secret_shares,
    threshold: data.secret_threshold,
    pgpKeys: data.pgp_keys,
    backup: data.backup,
    requireVerification: data.require_verification,
  })
}

function statusData(status: RekeyStatus): Record<string, unknown> {
  return {
    nonce: status.nonce,
    started: status.started,
    t: status.threshold,
    n: status.shares,
    progress: status.progress,
    required: status.required,
    pgp_fingerprints: status.pgpFingerprints ?? null,
    backup: status.backup,
    verification_required: status.verificationRequired,
    ...(status.verificationNonce !== undefined && { verification_nonce: status.verificationNonce }),
  }
}

function resultReply(result: RekeyResult, answer: Answer): Reply {
  const data = {
    nonce: result.nonce,
    complete: true,
    ...textsOf(result.keys),
    pgp_fingerprints: result.pgpFingerprints ?? null,
    backup: result.backup,
    verification_required: result.verificationRequired,
    ...(result.verificationNonce !== undefined && { verification_nonce: result.verificationNonce }),
  }
  for (const key of result.keys) key.fill(0)
  return { ...answer(data), onlyCopy: true }
}

function verificationData(status: VerificationStatus): Record<string, unknown> {
  return {
    nonce: status.nonce,
    started: status.started,
    t: status.threshold,
    n: status.shares,
    progress: status.progress,
  }
}

function hexToBase64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64')
}
