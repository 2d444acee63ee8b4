/** `token lookup`, `renew`, `revoke` and `capabilities`. */
import { command } from '#cli/command.ts'
import { attempt, CommandFailure, EXIT_OK, UsageError } from '#cli/failure.ts'
import { cleanPath } from '#cli/paths.ts'
import { toSecret } from '#cli/secret.ts'

const accessorFlag = {
  accessor: { type: 'boolean', default: false, about: 'TOKEN is an accessor rather than the token itself.' },
} as const

export const lookup = command({
  usage: '[options] [TOKEN | ACCESSOR]',
  details: 'Tells about a token, or without an argument about the one in use.',
  examples: [{ about: 'Look a token up by its accessor:', words: 'strongroom token lookup -accessor 9793c9b3-e04a' }],
  flags: accessorFlag,
  output: 'field',
  arguments: { min: 0, max: 1 },
  async run({ flags: { accessor }, arguments: [word], session, output }) {
    if (accessor && word === undefined) throw new UsageError('Not enough arguments with -accessor (expected 1, got 0)')
    const token = word?.trim()
    const reply = await attempt('error looking up token', async () =>
      accessor
        ? await session.request('POST', 'auth/token/lookup-accessor', { body: { accessor: token } })
        : token === undefined
          ? await session.request('GET', 'auth/token/lookup-self')
          : await session.request('POST', 'auth/token/lookup', { body: { token } }),
    )
    return await output.reply(reply)
  },
})

export const renew = command({
  usage: '[options] [TOKEN]',
  details:
    'Asks for more time for a token, or without an argument for the one in use. The server gives what is asked for or less.',
  examples: [{ about: 'Ask for another half hour:', words: 'strongroom token renew -increment=30m' }],
  flags: {
    ...accessorFlag,
    increment: { type: 'duration', aliases: ['i'], about: 'How long the token shall live from now on.' },
  },
  output: 'field',
  arguments: { min: 0, max: 1 },
  async run({ flags: { accessor, increment }, arguments: [word], session, output }) {
    if (accessor && word === undefined) throw new UsageError('Not enough arguments with -accessor (expected 1, got 0)')
    const more = increment === undefined ? {} : { increment }
    const token = word?.trim()
    const reply = await attempt('Error renewing token', async () =>
      accessor
        ? await session.request('POST', 'auth/token/renew-accessor', { body: { accessor: token, ...more } })
        : token === undefined
          ? await session.request('PUT', 'auth/token/renew-self', { body: more })
          : await session.request('PUT', 'auth/token/renew', { body: { token, ...more } }),
    )
    return await output.reply(reply)
  },
})

export const revoke = command({
  usage: '[options] [TOKEN | ACCESSOR]',
  details: 'Ends a token, the tokens made with it, and the leases of them all.',
  examples: [
    { about: 'End the token in use:', words: 'strongroom token revoke -self' },
    { about: 'End a token but keep its children:', words: 'strongroom token revoke -mode=orphan hvs.EXAMPLE' },
  ],
  flags: {
    ...accessorFlag,
    self: { type: 'boolean', default: false, about: 'End the token in use.' },
    mode: {
      type: 'string',
      choices: ['orphan', 'path'],
      about:
        'orphan: children live on without a parent. path: the argument is a path, e.g. auth/userpass, and every token that was made there ends.',
    },
  },
  output: 'none',
  arguments: { min: 0, max: 1 },
  async run({ flags: { accessor, self, mode }, arguments: [word], session, output }) {
    if (self && (accessor || mode !== undefined)) throw new UsageError('Cannot use -self with -accessor or -mode')
    if (self === (word !== undefined))
      throw new UsageError(
        self
          ? 'Too many arguments with -self (expected 0, got 1)'
          : 'Not enough arguments (expected 1, got 0): give a token, or -self',
      )
    if (accessor && mode !== undefined) throw new UsageError('Cannot use -accessor with -mode')
    const token = word?.trim() ?? ''
    await attempt('Error revoking token', async () => {
      if (self) return await session.request('PUT', 'auth/token/revoke-self')
      if (accessor) return await session.request('POST', 'auth/token/revoke-accessor', { body: { accessor: token } })
      if (mode === 'orphan') return await session.request('PUT', 'auth/token/revoke-orphan', { body: { token } })
      if (mode === 'path') return await session.request('PUT', `sys/leases/revoke-prefix/${cleanPath(token)}`)
      return await session.request('PUT', 'auth/token/revoke', { body: { token } })
    })
    output.success('Success! Revoked token (if it existed)')
    return EXIT_OK
  },
})

export const capabilities = command({
  usage: '[options] [TOKEN | ACCESSOR] PATH',
  details: 'Prints what a token may do on a path; without TOKEN, the one in use.',
  examples: [{ about: 'What may I do here?', words: 'strongroom token capabilities secret/data/app' }],
  flags: accessorFlag,
  output: 'format',
  arguments: { min: 1, max: 2 },
  async run({ flags: { accessor }, arguments: words, session, output }) {
    const [token, path] = words.length === 2 ? [words[0]!.trim(), words[1]!.trim()] : [undefined, words[0]!.trim()]
    if (accessor && token === undefined) throw new UsageError('Not enough arguments with -accessor (expected 2, got 1)')
    const reply = await attempt('Error listing capabilities', async () => {
      if (token === undefined) return await session.request('POST', 'sys/capabilities-self', { body: { path } })
      if (accessor)
        return await session.request('POST', 'sys/capabilities-accessor', { body: { accessor: token, path } })
      return await session.request('POST', 'sys/capabilities', { body: { token, path } })
    })
    const found = toSecret(reply.json).data?.['capabilities']
    if (!Array.isArray(found)) throw new CommandFailure(`No capabilities found for ${path}`)
    const names = found.filter((each) => typeof each === 'string').sort()
    if (output.format !== 'table') return await output.data(names)
    output.line(names.join(', '))
    return EXIT_OK
  },
})
