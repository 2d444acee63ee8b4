/**
 * What takes longer than two seconds is told on standard error, in one line that goes away at the end. Only on a terminal:
 * nothing of it ever comes into a file, a pipe or a script's log.
 */
import { forTerminal } from './output.ts'

/** Below this nobody wonders. */
const PATIENCE_MS = 2000
const TICK_MS = 500
const CLEAR_LINE = '\r\u001B[K'

/** Of two that wait inside of each other, the outer one knows more. */
let telling = false

/** @param what  asked again with each tick: `Searching: 300 found` */
export async function whileTelling<T>(what: () => string, work: () => Promise<T>): Promise<T> {
  const { stderr } = process
  if (telling || !tellsProgress()) return await work()
  telling = true
  const begunMs = performance.now()
  let shown = false
  const timer = setInterval(() => {
    const elapsedMs = performance.now() - begunMs
    if (elapsedMs < PATIENCE_MS) return
    const line = forTerminal(`${what()} … ${Math.floor(elapsedMs / 1000)} s`, stderr)
    // A line that wraps could not be cleared.
    stderr.write(CLEAR_LINE + line.replaceAll('\n', ' ').slice(0, (stderr.columns || 80) - 1))
    shown = true
  }, TICK_MS)
  try {
    return await work()
  } finally {
    clearInterval(timer)
    if (shown) stderr.write(CLEAR_LINE)
    telling = false
  }
}

export function tellsProgress(): boolean {
  return process.stderr.isTTY && process.env['TERM'] !== 'dumb'
}
