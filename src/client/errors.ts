/** What a request can fail with. Messages are meant for people; neither ever holds a token or a body that was sent. */

/** The server answered, and the answer was no. Printed the way clients of this API have always printed it. */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  readonly status: number
  /** The texts of `errors` in the reply; empty when the reply was no JSON of that shape. */
  readonly errors: readonly string[]
  /** The whole reply as text: a 404 may carry data all the same (a deleted version of a KV v2 secret). */
  readonly text: string

  constructor(request: { method: string; url: string; namespace: string | undefined }, status: number, text: string) {
    const errors = errorsOf(text)
    const lines = ['Error making API request.', '']
    if (request.namespace) lines.push(`Namespace: ${request.namespace}`)
    lines.push(`URL: ${request.method} ${request.url}`)
    if (errors) lines.push(`Code: ${status}. Errors:`, '', ...errors.map((each) => `* ${each}`))
    else lines.push(`Code: ${status}. Raw Message:`, '', text.slice(0, MAX_SHOWN_CHARACTERS))
    super(lines.join('\n'))
    this.status = status
    this.errors = errors ?? []
    this.text = text
  }
}

/** How much of a reply that is not ours (a proxy's error page) is worth showing. */
const MAX_SHOWN_CHARACTERS = 4096

/** Nobody answered, or the answer was not understood. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError'
  /** As Node names it: `ECONNREFUSED`, `ENOTFOUND`, `DEPTH_ZERO_SELF_SIGNED_CERT`…; `ETIMEDOUT` after the time limit. */
  readonly code: string
  readonly url: string

  constructor(url: string, code: string, message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.code = code
    this.url = url
  }
}

function errorsOf(text: string): string[] | undefined {
  try {
    const reply: unknown = JSON.parse(text)
    if (typeof reply !== 'object' || reply === null || !('errors' in reply) || !Array.isArray(reply.errors))
      return undefined
    return reply.errors.map((each) => (typeof each === 'string' ? each : JSON.stringify(each)))
  } catch {
    // Not JSON, so not from this API: the caller shows the text itself.
    return undefined
  }
}
