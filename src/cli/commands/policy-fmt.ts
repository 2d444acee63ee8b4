/** `policy fmt`: works on a file of this machine. */
import { command } from '#cli/command.ts'
import { readText } from '#cli/data-arguments.ts'
import { CommandFailure, EXIT_LOCAL, EXIT_OK } from '#cli/failure.ts'
import { formatHcl } from '#cli/hcl-format.ts'
import { parseHcl } from '#lib/hcl.ts'

export const fmt = command({
  usage: 'PATH',
  details: 'Rewrites the file of a policy in its usual form. A file with a mistake in it is left as it is.',
  flags: {},
  output: 'none',
  offline: true,
  arguments: { min: 1, max: 1 },
  async run({ arguments: words, output }) {
    const path = words[0]!.trim()
    const text = await readText(path)
    const parsed = parseHcl(text)
    if (!parsed.ok)
      throw new CommandFailure(
        `Error parsing ${path}: line ${parsed.line}, column ${parsed.column}: ${parsed.message}`,
        EXIT_LOCAL,
      )
    const formatted = formatHcl(text)
    const again = parseHcl(formatted)
    // A policy decides who may do what: rather leave it as it is than change what it says.
    if (!again.ok || meaning(again.value) !== meaning(parsed.value)) {
      throw new CommandFailure(
        `${path} holds something that cannot be formatted without changing it; it was left as it is`,
        EXIT_LOCAL,
      )
    }
    const { writeFile } = await import('node:fs/promises')
    if (formatted !== text) await writeFile(path, formatted)
    output.success(`Success! Formatted policy: ${path}`)
    return EXIT_OK
  },
})

/** All but where things stand. */
function meaning(value: unknown): string {
  return JSON.stringify(value, (name, each: unknown) => (name === 'line' || name === 'column' ? undefined : each))
}
