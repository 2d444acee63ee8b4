/** Questions on the terminal, and standard input as a whole. What is typed as a secret is not shown. */
import { CommandFailure, EXIT_LOCAL } from './failure.ts'

/** No request body may be larger. */
const MAX_INPUT_BYTES = 32 * 1024 * 1024
const MAX_LINE_CHARACTERS = 64 * 1024

/** All of standard input. */
export async function readInput(): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_INPUT_BYTES) throw new CommandFailure('standard input is larger than 32 MiB', EXIT_LOCAL)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/**
 * Ask for a secret. On a terminal nothing that is typed is shown; from a pipe the first line is taken.
 *
 * @throws CommandFailure when nobody may be asked or input ends
 */
export async function askSecret(label: string, interactive: boolean): Promise<string> {
  if (!process.stdin.isTTY) {
    const line = (await readInput()).split('\n')[0]!.replace(/\r$/, '')
    if (line === '') throw new CommandFailure(`${label} was not given, and standard input holds none`, EXIT_LOCAL)
    return line
  }
  if (!interactive) throw new CommandFailure(`${label} was not given, and -non-interactive forbids to ask`, EXIT_LOCAL)
  return await typed(`${label} (will be hidden): `)
}

/** One line typed on a terminal in raw mode, in which the terminal shows nothing: from before the question is asked. */
async function typed(question: string): Promise<string> {
  const { stdin } = process
  stdin.setRawMode(true)
  process.stderr.write(question)
  stdin.resume()
  stdin.setEncoding('utf8')
  let text = ''
  try {
    return await new Promise<string>((resolve, reject) => {
      stdin.on('data', (chunk: string) => {
        for (const key of chunk) {
          if (key === '\r' || key === '\n' || key === '\u0004') return resolve(text)
          if (key === '\u0003') return reject(new CommandFailure('interrupted', EXIT_LOCAL))
          if (key === '\u007F' || key === '\b') text = Array.from(text).slice(0, -1).join('')
          else if (key === '\u0015') text = ''
          else if (text.length < MAX_LINE_CHARACTERS) text += key
        }
      })
    })
  } finally {
    stdin.removeAllListeners('data')
    stdin.setRawMode(false)
    stdin.pause()
    process.stderr.write('\n')
  }
}
