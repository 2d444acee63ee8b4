/** A request whose body goes straight to whoever collects it. */
import { IncomingMessage } from 'node:http'

/**
 * The parser pushes each piece of a body, then null, into the request. A stream would queue them and tell of them in later
 * ticks; for small bodies that costs more than all the rest of the decoding.
 */
export class Request extends IncomingMessage {
  /** Gets each piece, then null. To be set when the request arrives. */
  onBody: ((piece: Buffer | null) => void) | undefined

  override push(piece: Buffer | null, encoding?: BufferEncoding): boolean {
    if (this.onBody === undefined) return super.push(piece, encoding)
    this.onBody(piece)
    return true
  }
}
