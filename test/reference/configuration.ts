/** The reference of the configuration, made of the tables that the server reads configurations by. */
import { auditDevices } from '#audit/registry.ts'
import { auditKeys, ledgerKeys, postgresKeys, type Spread, storageKeys, topKeys } from '#boot/config-keys.ts'
import { listenerKeys } from '#boot/listener-keys.ts'
import { fileDeviceKeys, lockoutKeys, telemetryKeys } from '#boot/stanza-keys.ts'
import { lockoutTypes } from '#core/lockout.ts'
import { autoUnseals } from '#seal/registry.ts'
import { cell, type Page, table } from './page.ts'

const named = (names: readonly string[]) => names.map((name) => `\`"${name}"\``).join(', ')

export const blocks: readonly { title: string; about: string; keys: Spread }[] = [
  { title: 'At the top', about: 'Outside of any block.', keys: topKeys },
  {
    title: 'storage',
    about:
      '`storage "sqlite"` is the embedded store. `"inmem"` keeps everything in memory, for tests, and has no keys. `"file"` and `"raft"` are taken as the embedded store in the same folder: data of another server there is not read.',
    keys: storageKeys,
  },
  {
    title: 'storage in PostgreSQL',
    about: '`storage "postgres"` or `"postgresql"`: see [Storage in PostgreSQL](../postgres.md).',
    keys: postgresKeys,
  },
  {
    title: 'listener',
    about:
      '`listener "tcp"` or `"unix"`. With TLS unless `tls_disable` says otherwise. For numbers and times, 0 is the default.',
    keys: listenerKeys,
  },
  {
    title: 'ledger',
    about: 'Where every request and answer is recorded. Without the block it lies beside the data.',
    keys: ledgerKeys,
  },
  {
    title: 'audit',
    about: `\`audit "file" "path"\`: type and path of the device. There ${Object.keys(auditDevices).length === 1 ? 'is' : 'are'} ${named(Object.keys(auditDevices))}.`,
    keys: auditKeys,
  },
  {
    title: 'audit: options of a file',
    about: 'In the block `options`, and the same for `strongroom audit enable file`.',
    keys: fileDeviceKeys,
  },
  {
    title: 'user_lockout',
    about: `\`user_lockout "all"\`, or of one auth method: ${named(lockoutTypes)}. What a mount was tuned to wins. \`STRONGROOM_DISABLE_USER_LOCKOUT=true\` (also \`BAO_…\`, \`VAULT_…\`) turns all of it off.`,
    keys: lockoutKeys,
  },
  { title: 'telemetry', about: 'See [the metrics](../metrics.md).', keys: telemetryKeys },
]

export function configurationPage(): Page {
  const parts = blocks.map(({ title, about, keys }) => blockPart(title, about, keys))
  const text = `# The configuration

\`strongroom server -config=FILE|FOLDER\` reads HCL or JSON with the keys of a Vault server; of a folder, its \`.hcl\` and
\`.json\` files in the order of their names. Made from the tables that the server reads by. \`strongroom operator diagnose\`
tells what is wrong with a configuration, and what of it does nothing.

Times are texts such as \`90s\`, \`15m\`, \`768h\`, or numbers of seconds. A value that cannot be used is an error with file, line and column,
and the server does not start. An unknown key is told at the start and ignored.

${parts.join('\n\n')}

## seal

One of ${named(Object.keys(autoUnseals))}, or \`"shamir"\`, which is the same as no block.
[Unsealing without people](../auto-unseal.md) has their keys. A block with \`disabled = "true"\` is the seal that is left behind in a migration.
`
  return { file: 'docs/reference/configuration.md', text }
}

function blockPart(title: string, about: string, { used, meaningless, withoutEffect }: Spread): string {
  const rows = Object.entries(used).map(([name, { about: text, default: fallback }]) => [
    `\`${name}\``,
    fallback === undefined ? '' : cell(fallback),
    cell(text),
  ])
  const quoted = (names: ReadonlySet<string>) => [...names].map((name) => `\`${name}\``).join(', ')
  const parts = [
    `## ${title}`,
    about,
    table(['Key', 'Default', 'What it does'], rows),
    meaningless.size > 0 && `Taken in silence, since nothing is missing without them: ${quoted(meaningless)}.`,
    withoutEffect.size > 0 && `Taken without effect, which is told at the start: ${quoted(withoutEffect)}.`,
  ]
  return parts.filter((part) => part).join('\n\n')
}
