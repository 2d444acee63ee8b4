/** `token create`: auth/token/create. */
import { command } from '#cli/command.ts'
import { attempt } from '#cli/failure.ts'
import { cleanPath } from '#cli/paths.ts'

export const create = command({
  usage: '[options]',
  details:
    'Makes a token as a child of the one in use: it ends when that one ends. It has the policies given, or all of those of its parent.',
  examples: [
    {
      about: 'A token with two policies for an hour:',
      words: 'strongroom token create -policy=app -policy=logs -ttl=1h',
    },
    {
      about: 'One that lives as long as it is renewed every half hour:',
      words: 'strongroom token create -period=30m -policy=app',
    },
  ],
  flags: {
    'display-name': { type: 'string', about: 'Name of the token in look-ups and the audit log. It is no secret.' },
    'entity-alias': {
      type: 'string',
      about: 'Alias of the entity that the token shall stand for. Only with -role, which must allow it.',
    },
    'explicit-max-ttl': { type: 'duration', about: 'When the token ends for good, however often it is renewed.' },
    id: {
      type: 'string',
      about: 'Value of the token, instead of a random one. Needs sudo; who can guess it has the token.',
    },
    metadata: {
      type: 'pairs',
      about: 'What to note about the token, as NAME=VALUE. May be given several times. It stands in the audit log.',
    },
    'no-default-policy': { type: 'boolean', default: false, about: 'Leave the policy "default" out.' },
    orphan: {
      type: 'boolean',
      default: false,
      about: 'Without a parent, so that the token outlives the one in use. Needs sudo.',
    },
    period: { type: 'duration', about: 'The token lives for this long after each renewal, without end. Needs sudo.' },
    policy: { type: 'list', about: 'Name of a policy. May be given several times.' },
    renewable: { type: 'boolean', default: true, about: 'Whether the token can be renewed.' },
    role: { type: 'string', about: 'Role that says what the token is like, and may overrule what is given here.' },
    ttl: { type: 'duration', about: 'How long the token lives, or until it is renewed.' },
    type: { type: 'string', choices: ['service', 'batch'], default: 'service', about: 'Type of the token.' },
    'use-limit': { type: 'integer', default: 0, about: 'How often the token can be used; 0: without limit.' },
  },
  output: 'field',
  arguments: { min: 0, max: 0 },
  async run({ flags, session, output }) {
    const body = {
      ...(flags.id ? { id: flags.id } : {}),
      ...(flags.policy.length > 0 ? { policies: flags.policy } : {}),
      ...(Object.keys(flags.metadata).length > 0 ? { meta: flags.metadata } : {}),
      ...(flags.ttl ? { ttl: flags.ttl } : {}),
      ...(flags['explicit-max-ttl'] ? { explicit_max_ttl: flags['explicit-max-ttl'] } : {}),
      ...(flags.period ? { period: flags.period } : {}),
      ...(flags.orphan ? { no_parent: true } : {}),
      ...(flags['no-default-policy'] ? { no_default_policy: true } : {}),
      ...(flags['display-name'] ? { display_name: flags['display-name'] } : {}),
      ...(flags['use-limit'] > 0 ? { num_uses: flags['use-limit'] } : {}),
      ...(flags['entity-alias'] ? { entity_alias: flags['entity-alias'] } : {}),
      renewable: flags.renewable,
      type: flags.type,
    }
    const path = flags.role ? `auth/token/create/${cleanPath(flags.role)}` : 'auth/token/create'
    return await output.reply(
      await attempt('Error creating token', async () => await session.request('POST', path, { body })),
    )
  },
})
