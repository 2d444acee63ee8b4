/** A root token by the shares of many: `sys/generate-root/`, and what decodes it. */
import { newServiceToken, ROOT_TOKEN_LENGTHS, randomBase62 } from '#core/tokens/ids.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'
import type { IssueRoot, SealKeys } from '#sdk/seal-keys.ts'
import { withShare } from './share-text.ts'

/** What the composition root lends to these paths. */
export interface GenerateRootServices {
  sealKeys: SealKeys
  /** @param text  the token itself */
  makeRootToken(text: string): Promise<void>
}

const OTP_LENGTH = ROOT_TOKEN_LENGTHS[0]

const noFields = {} satisfies Fields
const startFields = {
  otp: {
    type: 'string',
    about: `One-time pad of ${ROOT_TOKEN_LENGTHS.join(' or ')} characters; made and told if neither this nor pgp_key is given.`,
    default: '',
  },
  pgp_key: { type: 'string', about: 'Base64 of a public PGP key to encrypt the token to.', default: '' },
} satisfies Fields
const shareFields = {
  key: { type: 'string', about: 'One share, in hex or base64.', default: '' },
  nonce: { type: 'string', about: 'Of the generation that the share is meant for.', default: '' },
} satisfies Fields
const decodeFields = {
  encoded_token: { type: 'string', about: 'What the generation told in the end.', default: '' },
  otp: { type: 'string', about: 'The one-time pad that it was started with.', default: '' },
} satisfies Fields

export function generateRootPaths(services: GenerateRootServices): Path[] {
  const attempt = {
    read: endpoint('What is under way, and how far it is.', noFields, async () => status(services, '')),
    update: endpoint('Begin to make a root token.', startFields, async (call) => await start(services, call)),
    delete: endpoint('Give up what is under way.', noFields, async () => {
      await services.sealKeys.rootGeneration.cancel()
      return {}
    }),
  }
  const update = {
    update: endpoint('Give one share.', shareFields, async (call) => await submit(services, call)),
  }
  return [
    { pattern: 'generate-root/attempt', unauthenticated: true, operations: attempt },
    { pattern: 'generate-root/update', unauthenticated: true, operations: update },
    // The same for who wants to be asked for a token first.
    { pattern: 'generate-root', operations: attempt },
    { pattern: 'generate-root-token/attempt', operations: attempt },
    { pattern: 'generate-root-token/update', operations: update },
    {
      pattern: 'decode-token',
      unauthenticated: true,
      operations: {
        update: endpoint('Take the one-time pad off a token.', decodeFields, async (call) => decode(call)),
      },
    },
  ]
}

function answer(data: Record<string, unknown>): Reply {
  return { data, raw: { contentType: 'application/json', body: `${JSON.stringify(data)}\n` } }
}

/** @param otp  told once, to whom it was made for */
function status({ sealKeys }: GenerateRootServices, otp: string): Reply {
  const { nonce, started, progress, required, pgpFingerprint } = sealKeys.rootGeneration.status()
  return answer({
    nonce,
    started,
    progress,
    required,
    complete: false,
    encoded_token: '',
    encoded_root_token: '',
    pgp_fingerprint: pgpFingerprint,
    otp,
    otp_length: OTP_LENGTH,
  })
}

async function start(services: GenerateRootServices, { data }: Call<typeof startFields>): Promise<Reply> {
  const { otp, pgp_key: pgpKey } = data
  const lengths: readonly number[] = ROOT_TOKEN_LENGTHS
  if (otp !== '' && !lengths.includes(Buffer.byteLength(otp))) {
    throw new ApiError('invalid_request', 'OTP string is wrong length')
  }
  const made = otp === '' && pgpKey === '' ? randomBase62(OTP_LENGTH) : ''
  await services.sealKeys.rootGeneration.start({ otp: otp || made, pgpKey })
  return status(services, made)
}

async function submit(services: GenerateRootServices, { data }: Call<typeof shareFields>): Promise<Reply> {
  const issue: IssueRoot = async ({ length, encode }) => {
    const text = newServiceToken(length)
    const encoded = await encode(text)
    await services.makeRootToken(text)
    return encoded
  }
  const made = await withShare(data.key, (share) => services.sealKeys.rootGeneration.submit(share, data.nonce, issue))
  return answer({
    nonce: made.nonce,
    started: true,
    progress: made.progress,
    required: made.required,
    complete: made.progress === made.required,
    encoded_token: made.encodedToken,
    encoded_root_token: made.encodedToken,
    pgp_fingerprint: made.pgpFingerprint,
    otp: '',
    otp_length: 0,
  })
}

function decode({ data }: Call<typeof decodeFields>): Reply {
  const { encoded_token: encoded, otp } = data
  if (encoded === '') throw new ApiError('invalid_request', 'missing encoded token')
  if (otp === '') throw new ApiError('invalid_request', 'missing otp')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) {
    throw new ApiError('invalid_request', `error decoding base64'd token: it is not base64`)
  }
  const bytes = Buffer.from(encoded, 'base64')
  const pad = Buffer.from(otp)
  if (bytes.length !== pad.length) {
    const lengths = `${pad.length} != ${bytes.length}`
    throw new ApiError('invalid_request', `error xoring token: length of byte slices is not equivalent: ${lengths}`)
  }
  return { data: { token: Buffer.from(bytes.map((byte, at) => byte ^ pad[at]!)).toString() } }
}
