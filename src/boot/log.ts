/** The server's own log: one line an event on standard error, for people and for a log collector alike. Never a secret. */

export function logLine(text: string, details: Readonly<Record<string, string | number>> = {}): void {
  const rest = Object.entries(details).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
  process.stderr.write(`${new Date().toISOString()} ${text.replaceAll('\n', ' ')}${rest.join('')}\n`)
}
