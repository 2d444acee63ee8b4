/** `lease lookup`, `renew` and `revoke`. */
import { command } from '#cli/command.ts'
import { attempt, EXIT_OK, UsageError } from '#cli/failure.ts'

export const lookup = command({
  usage: '[options] ID',
  details: 'Prints since when a lease lives, until when, and whether it can be renewed.',
  flags: {},
  output: 'field',
  arguments: { min: 1, max: 1 },
  async run({ arguments: words, session, output }) {
    const body = { lease_id: words[0]!.trim() }
    return await output.reply(
      await attempt('Error looking up lease', async () => await session.request('PUT', 'sys/leases/lookup', { body })),
    )
  },
})

export const renew = command({
  usage: '[options] ID',
  details: 'Asks for more time for a lease. The server gives what is asked for or less.',
  examples: [
    { about: 'Ask for another hour:', words: 'strongroom lease renew -increment=1h database/creds/app/2f6a614c' },
  ],
  flags: { increment: { type: 'duration', aliases: ['i'], about: 'How long the lease shall live from now on.' } },
  output: 'field',
  arguments: { min: 1, max: 1 },
  async run({ flags, arguments: words, session, output }) {
    const body = {
      lease_id: words[0]!.trim(),
      ...(flags.increment === undefined ? {} : { increment: flags.increment }),
    }
    return await output.reply(
      await attempt('Error renewing lease', async () => await session.request('PUT', 'sys/leases/renew', { body })),
    )
  },
})

export const revoke = command({
  usage: '[options] ID',
  details: 'Ends a lease, or with -prefix all leases below a path; the secrets they stand for stop working.',
  examples: [
    { about: 'End one lease:', words: 'strongroom lease revoke database/creds/app/2f6a614c' },
    { about: 'End all leases of a role:', words: 'strongroom lease revoke -prefix database/creds/app' },
  ],
  flags: {
    force: {
      type: 'boolean',
      aliases: ['f'],
      default: false,
      about: 'Forget the leases even where the secret could not be revoked. Only with -prefix, and for emergencies.',
    },
    prefix: { type: 'boolean', default: false, about: 'ID is the beginning of the leases to end.' },
    sync: { type: 'boolean', default: false, about: 'Wait until it is done instead of leaving it to the server.' },
  },
  output: 'none',
  arguments: { min: 1, max: 1 },
  async run({ flags, arguments: words, session, output }) {
    const id = words[0]!.trim()
    if (flags.force && !flags.prefix) throw new UsageError('Specifying -force requires also specifying -prefix')
    if (flags.force) {
      output.warn('Warning! Force-removing leases can cause the server to lose track of secrets that still work.')
      await attempt(
        `Error force revoking leases with prefix ${id}`,
        async () => await session.request('PUT', `sys/leases/revoke-force/${id}`),
      )
      output.success(`Success! Force revoked any leases with prefix: ${id}`)
    } else if (flags.prefix) {
      await attempt(
        `Error revoking leases with prefix ${id}`,
        async () => await session.request('PUT', `sys/leases/revoke-prefix/${id}`, { body: { sync: flags.sync } }),
      )
      output.success(
        flags.sync
          ? `Success! Revoked any leases with prefix: ${id}`
          : 'All revocation operations queued successfully!',
      )
    } else {
      await attempt(
        `Error revoking lease ${id}`,
        async () => await session.request('PUT', 'sys/leases/revoke', { body: { lease_id: id, sync: flags.sync } }),
      )
      output.success(flags.sync ? `Success! Revoked lease: ${id}` : 'All revocation operations queued successfully!')
    }
    return EXIT_OK
  },
})
