/** `auth help`: how to log in by a method. */
import { command } from '#cli/command.ts'
import { attempt, CommandFailure, EXIT_LOCAL, EXIT_OK } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { loginMethods } from '#cli/login-methods.ts'
import { mountPath } from '#cli/paths.ts'
import { toSecret } from '#cli/secret.ts'
import { columns } from '#cli/table.ts'

export const help = command({
  usage: '[options] TYPE | PATH',
  details:
    'Tells what "strongroom login" needs for an auth method: by its type, or by the path of one that is on, which ends in a slash.',
  examples: [
    { about: 'By type:', words: 'strongroom auth help userpass' },
    { about: 'By path:', words: 'strongroom auth help machines/' },
  ],
  flags: {},
  output: 'none',
  arguments: { min: 1, max: 1 },
  async run({ arguments: words, session, output }) {
    const word = words[0]!.trim()
    let type = word
    if (word.endsWith('/')) {
      const reply = await attempt(
        'Error listing enabled authentications',
        async () => await session.request('GET', 'sys/auth'),
      )
      const mount = toSecret(reply.json).data?.[mountPath(word)]
      if (!isObject(mount) || typeof mount['type'] !== 'string')
        throw new CommandFailure(`No auth method is on at "${mountPath(word)}"`)
      type = mount['type']
    }
    if (type === 'token') {
      output.line(
        'Usage: strongroom login [TOKEN]\n\n  With a token that you have. Without TOKEN it is asked for; "-" takes it from standard input.',
      )
      return EXIT_OK
    }
    const method = Object.hasOwn(loginMethods, type) ? loginMethods[type] : undefined
    if (!method)
      throw new CommandFailure(
        `No help for the auth method "${type}". "strongroom path-help auth/${type}" may tell more.`,
        EXIT_LOCAL,
      )
    const path = word.endsWith('/') ? ` -path=${word.slice(0, -1)}` : ''
    output.line(`Usage: strongroom login -method=${type}${path} [K=V...]\n\n  ${method.about}\n`)
    output.line(
      columns(
        method.fields.map((field) => [field.name, `${field.about}${field.required ? ' Required.' : ''}`]),
      ).replace(/^/gm, '    '),
    )
    return EXIT_OK
  },
})
