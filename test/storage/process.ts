/** Programs of these tests in processes of their own, read line by line. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

export interface Program {
  process: ChildProcess
  /** All lines so far. */
  lines: string[]
  /** The first line, also of those to come, that starts so. Fails if the program ends without it. */
  line(start: string): Promise<string>
  /** When it has ended and all it wrote is in `lines`. */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; errors: string }>
  say(line: string): void
}

/** @param wrap  shell words before the program, e.g. a limit on it */
export function startProgram(url: URL, given: readonly string[], wrap?: string): Program {
  const command = [process.execPath, url.pathname, ...given]
  const child = wrap
    ? spawn('sh', ['-c', `${wrap}; exec "$@"`, 'sh', ...command], { stdio: ['pipe', 'pipe', 'pipe'] })
    : spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] })
  const lines: string[] = []
  const waiting: { start: string; resolve: (line: string) => void; reject: (error: Error) => void }[] = []
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    for (const each of waiting.filter(({ start }) => line.startsWith(start))) {
      waiting.splice(waiting.indexOf(each), 1)
      each.resolve(line)
    }
  })
  // 'close' comes after the pipes were read to their ends, 'exit' may come before.
  const ended = once(child, 'close').then(([code, signal]) => {
    for (const each of waiting) each.reject(new Error(`ended (${code ?? signal}) without "${each.start}": ${errors}`))
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, errors }
  })
  return {
    process: child,
    lines,
    ended,
    line: async (start) => {
      const known = lines.find((line) => line.startsWith(start))
      if (known !== undefined) return known
      return await new Promise((resolve, reject) => waiting.push({ start, resolve, reject }))
    },
    say: (line) => void child.stdin.write(`${line}\n`),
  }
}
