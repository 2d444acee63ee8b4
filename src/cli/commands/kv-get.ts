/** `kv get` */
import { command } from '#cli/command.ts'
import { attempt, CommandFailure, EXIT_OK } from '#cli/failure.ts'
import { isObject } from '#cli/json.ts'
import { locate, mountFlag, printPath, printSection } from '#cli/kv.ts'
import { toSecret } from '#cli/secret.ts'

export const get = command({
  usage: '[options] KEY',
  details: 'Prints the data of a secret, and of version 2 the metadata of the version too.',
  examples: [
    { about: 'Read a secret:', words: 'strongroom kv get -mount=secret app' },
    { about: 'Read one field, for a script:', words: 'strongroom kv get -field=password secret/app' },
    { about: 'Read an earlier version:', words: 'strongroom kv get -version=1 secret/app' },
  ],
  flags: { ...mountFlag, version: { type: 'integer', default: 0, about: 'Which version to read; 0 is the newest.' } },
  output: 'field',
  arguments: { min: 1, max: 1 },
  async run({ flags, arguments: words, session, output }) {
    const place = await locate(session, flags.mount, words[0]!)
    const path = place.path('data')
    const query = { version: place.version === 2 && flags.version > 0 ? String(flags.version) : undefined }
    const reply = await attempt(`Error reading ${path}`, async () => await session.find('GET', path, { query }))
    if (!reply) throw new CommandFailure(`No value found at ${path}${session.absence}`)
    const secret = toSecret(reply.json)
    const inner = place.version === 2 ? secret.data?.['data'] : secret.data
    if (output.field !== undefined && !secret.wrap_info) {
      if (!isObject(inner)) throw new CommandFailure(`No data found at ${path}`)
      return await output.value(
        place.version === 2
          ? inner
          : { ...inner, ...(secret.lease_duration > 0 ? { refresh_interval: secret.lease_duration } : {}) },
        output.field,
      )
    }
    if (secret.wrap_info || output.format !== 'table') return await output.reply(reply)
    output.warnings(secret.warnings)
    if (place.version === 2) printPath(output, 'Secret Path', path)
    const metadata = place.version === 2 ? secret.data?.['metadata'] : undefined
    if (isObject(metadata)) await printSection(output, 'Metadata', metadata)
    if (isObject(metadata) && isObject(inner)) output.line('')
    if (isObject(inner)) await printSection(output, 'Data', inner)
    return EXIT_OK
  },
})
