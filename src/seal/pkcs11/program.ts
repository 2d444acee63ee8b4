/**
 * A process of its own for one call of a token's library: the request comes on standard input, the answer goes to standard
 * output. Libraries of tokens are foreign code that may hang or crash, and that brings its own copy of OpenSSL; here it
 * can do so without the server, and be killed when it takes too long.
 */
import { Cryptoki, CryptokiError } from './cryptoki.ts'
import { MAX_MESSAGE_BYTES, type TokenReply, type TokenRequest } from './request.ts'
import { use } from './token.ts'

process.stdout.write(`${JSON.stringify(answer(await readRequest()))}\n`)

function answer(request: TokenRequest): TokenReply {
  try {
    const token = new Cryptoki(request.library)
    try {
      return use(token, request)
    } finally {
      token.close()
    }
  } catch (error) {
    if (error instanceof CryptokiError) return { ok: false, call: error.call, result: error.result }
    return { ok: false, result: error instanceof Error ? error.message : 'failed' }
  }
}

async function readRequest(): Promise<TokenRequest> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_MESSAGE_BYTES) throw new RangeError('the request is too long')
    chunks.push(chunk)
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as TokenRequest
}
