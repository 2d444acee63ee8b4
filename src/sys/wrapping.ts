/** `sys/wrapping`: put a reply behind a token that is good once, look at it, take it out. */
import type { Wrapping } from '#core/wrapping.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'

const tokenFields = {
  token: { type: 'string', about: 'The wrapping token; without it, the token of the request is taken for it.' },
} satisfies Fields

const rewrapFields = { token: { type: 'string', about: 'The wrapping token.' } } satisfies Fields

export function wrappingPaths(wrapping: Wrapping): Path[] {
  return [
    {
      pattern: 'wrapping/wrap',
      arbitrary: true,
      operations: { update: endpoint('Wrap any JSON object.', {} satisfies Fields, wrap) },
    },
    {
      // Whoever holds the wrapping token may open it: the token is the proof, whatever else the request carries.
      pattern: 'wrapping/unwrap',
      unauthenticated: true,
      seesToken: true,
      operations: {
        update: endpoint('Take out what was wrapped; works once.', tokenFields, async (call) =>
          open(await wrapping.unwrap(tokenOf(call))),
        ),
      },
    },
    {
      // Needs a token that may: else whoever holds a wrapping token could make it last for ever.
      pattern: 'wrapping/rewrap',
      operations: {
        update: endpoint('Put it behind a new token.', rewrapFields, async ({ data }) => ({
          wrapInfo: await wrapping.rewrap(given(data.token)),
        })),
      },
    },
    {
      pattern: 'wrapping/lookup',
      unauthenticated: true,
      seesToken: true,
      operations: {
        read: endpoint('What the token is for, without opening it.', tokenFields, (call) => lookup(wrapping, call)),
        update: endpoint('What the token is for, without opening it.', tokenFields, (call) => lookup(wrapping, call)),
      },
    },
  ]
}

async function wrap({ wrapped, body }: Call): Promise<Reply> {
  if (!wrapped) throw new ApiError('invalid_request', 'endpoint requires response wrapping to be used')
  return { data: body }
}

function tokenOf({ data, token }: Call<typeof tokenFields>): string {
  return given(data.token || token)
}

function given(text: string | undefined): string {
  if (text === undefined || text === '') throw new ApiError('invalid_request', 'missing "token" value in input')
  return text
}

/** The reply goes out to the letter; its contents are told to the audit as this reply's. */
function open(reply: string): Reply {
  const { data, auth } = JSON.parse(reply) as {
    data: Record<string, unknown> | null
    auth: Record<string, unknown> | null
  }
  return { raw: { contentType: 'application/json', body: reply }, data: { ...data, ...(auth && { auth }) } }
}

async function lookup(wrapping: Wrapping, call: Call<typeof tokenFields>): Promise<Reply> {
  return { data: { ...(await wrapping.lookup(tokenOf(call))) } }
}
