/** `policy list`, `read`, `write` and `delete`: sys/policies/acl. */
import { command } from '#cli/command.ts'
import { readText } from '#cli/data-arguments.ts'
import { attempt, CommandFailure, EXIT_OK } from '#cli/failure.ts'
import { readInput } from '#cli/prompt.ts'
import { toSecret } from '#cli/secret.ts'

/** Names of policies are in lower case, whatever is typed. */
const nameOf = (word: string) => word.trim().toLowerCase()

export const list = command({
  usage: '[options]',
  details: 'Prints the names of all policies.',
  flags: {},
  output: 'format',
  arguments: { min: 0, max: 0 },
  async run({ session, output }) {
    const reply = await attempt('Error listing policies', async () => await session.request('LIST', 'sys/policies/acl'))
    const keys = toSecret(reply.json).data?.['keys']
    const names = Array.isArray(keys) ? keys.filter((each) => typeof each === 'string') : []
    if (output.format !== 'table') return await output.data(names)
    for (const name of names) output.line(name)
    return EXIT_OK
  },
})

export const read = command({
  usage: '[options] NAME',
  details: 'Prints the text of a policy.',
  flags: {},
  output: 'format',
  arguments: { min: 1, max: 1 },
  async run({ arguments: words, session, output }) {
    const name = nameOf(words[0]!)
    const reply = await attempt(
      `Error reading policy named ${name}`,
      async () => await session.find('GET', `sys/policies/acl/${name}`),
    )
    const data = toSecret(reply?.json).data
    const text = data?.['policy'] ?? data?.['rules']
    if (typeof text !== 'string') throw new CommandFailure(`No policy named: ${name}`)
    if (output.format !== 'table') return await output.data({ policy: text })
    output.line(text.trim())
    return EXIT_OK
  },
})

export const write = command({
  usage: '[options] NAME PATH',
  details: 'Uploads a policy from the file at PATH, or from standard input if PATH is "-".',
  examples: [
    { about: 'Upload a policy from a file:', words: 'strongroom policy write app app.hcl' },
    {
      about: 'From standard input:',
      words: `echo 'path "secret/data/app" { capabilities = ["read"] }' | strongroom policy write app -`,
    },
  ],
  flags: {},
  output: 'none',
  arguments: { min: 2, max: 2 },
  async run({ arguments: words, session, output }) {
    const name = nameOf(words[0]!)
    const path = words[1]!.trim()
    const policy = path === '-' ? await readInput() : await readText(path.replace(/^@/, ''))
    const reply = await attempt(
      'Error uploading policy',
      async () => await session.request('PUT', `sys/policies/acl/${name}`, { body: { policy } }),
    )
    output.warnings(toSecret(reply.json).warnings)
    output.success(`Success! Uploaded policy: ${name}`)
    return EXIT_OK
  },
})

export const remove = command({
  usage: '[options] NAME',
  details: 'Deletes a policy. Tokens that have it lose what it allowed at once.',
  flags: {},
  output: 'none',
  arguments: { min: 1, max: 1 },
  async run({ arguments: words, session, output }) {
    const name = nameOf(words[0]!)
    await attempt(`Error deleting ${name}`, async () => await session.request('DELETE', `sys/policies/acl/${name}`))
    output.success(`Success! Deleted policy: ${name}`)
    return EXIT_OK
  },
})
