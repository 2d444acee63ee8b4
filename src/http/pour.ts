/** Answers without an end: what comes is sent on, as fast as the client reads. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'

/** Ends one of them each. */
export type Pourings = Set<() => void>

/**
 * Never rejects. What a slow client does not take stays with the source, whose bound holds.
 *
 * @param source  its iterator's `return` must end a `next` that waits
 */
export async function pour(source: AsyncIterable<string>, response: ServerResponse, pourings: Pourings): Promise<void> {
  const iterator = source[Symbol.asyncIterator]()
  const gone = new AbortController()
  const stop = () => {
    gone.abort()
    void iterator.return?.()
  }
  pourings.add(stop)
  response.once('close', stop)
  // Silence is no reason to hang up: there may be nothing to tell for hours.
  response.socket?.setTimeout(0)
  try {
    response.flushHeaders()
    for (;;) {
      const next = await iterator.next()
      if (next.done || gone.signal.aborted) break
      if (!response.write(next.value)) await once(response, 'drain', { signal: gone.signal })
    }
  } catch {
    // The client is gone, or the source broke: either way this is the end, which the client sees.
  } finally {
    pourings.delete(stop)
    response.off('close', stop)
    void iterator.return?.()
    response.end()
  }
}
