/** `kv delete`, `undelete`, `destroy` and `enable-versioning`. */
import { type Call, command } from '#cli/command.ts'
import { attempt, EXIT_OK, UsageError } from '#cli/failure.ts'
import { locate, locateVersioned, mountFlag, versionNumbers } from '#cli/kv.ts'
import { cleanPath, mountPath } from '#cli/paths.ts'

const flags = {
  ...mountFlag,
  versions: { type: 'list', about: 'Numbers of versions, separated by commas. May be given several times.' },
} as const

export const remove = command({
  usage: '[options] KEY',
  details:
    'Deletes the newest version of a secret, or those named. In version 2 they can be brought back by "kv undelete"; in version 1 the secret is gone.',
  examples: [{ about: 'Delete two earlier versions:', words: 'strongroom kv delete -versions=1,2 secret/app' }],
  flags,
  output: 'format',
  arguments: { min: 1, max: 1 },
  async run({ flags: { mount, versions: list }, arguments: words, session, output }) {
    const versions = versionNumbers(list)
    const place = await locate(session, mount, words[0]!)
    const path = place.path('data')
    const reply = await attempt(`Error deleting ${path}`, async () =>
      place.version === 2 && versions.length > 0
        ? await session.request('PUT', place.path('delete'), { body: { versions } })
        : await session.request('DELETE', path),
    )
    if (reply.json !== undefined) return await output.reply(reply)
    output.successUnlessData(`Success! Data deleted (if it existed) at: ${path}`)
    return EXIT_OK
  },
})

export const undelete = command({
  usage: '[options] KEY',
  details: 'Brings deleted versions back, as long as they are not destroyed. Needs version 2 of the engine.',
  examples: [{ about: 'Bring version 3 back:', words: 'strongroom kv undelete -versions=3 secret/app' }],
  flags,
  output: 'format',
  arguments: { min: 1, max: 1 },
  run: async (call) => await change(call, 'undelete', 'Undelete'),
})

export const destroy = command({
  usage: '[options] KEY',
  details: 'Removes the data of versions for good. Needs version 2 of the engine.',
  examples: [{ about: 'Destroy version 3:', words: 'strongroom kv destroy -versions=3 secret/app' }],
  flags,
  output: 'format',
  arguments: { min: 1, max: 1 },
  run: async (call) => await change(call, 'destroy', 'Destroy'),
})

async function change(
  { flags: { mount, versions: list }, arguments: words, session, output }: Call<typeof flags>,
  part: 'undelete' | 'destroy',
  title: string,
): Promise<number> {
  const versions = versionNumbers(list)
  if (versions.length === 0)
    throw new UsageError(`No versions provided, use the "-versions" flag to specify the version to ${part}.`)
  const path = (await locateVersioned(session, mount, words[0]!, title)).path(part)
  const reply = await attempt(
    `Error writing data to ${path}`,
    async () => await session.request('PUT', path, { body: { versions } }),
  )
  if (reply.json !== undefined) return await output.reply(reply)
  output.successUnlessData(`Success! Data written to: ${path}`)
  return EXIT_OK
}

export const enableVersioning = command({
  usage: '[options] MOUNT',
  details: 'Turns a mount of version 1 of the engine into one of version 2. There is no way back.',
  flags: {},
  output: 'none',
  arguments: { min: 1, max: 1 },
  async run({ arguments: words, session, output }) {
    const path = mountPath(words[0]!)
    await attempt(
      `Error tuning secrets engine ${path}`,
      async () =>
        await session.request('POST', `sys/mounts/${cleanPath(path)}/tune`, { body: { options: { version: '2' } } }),
    )
    output.success(`Success! Tuned the secrets engine at: ${path}`)
    return EXIT_OK
  },
})
