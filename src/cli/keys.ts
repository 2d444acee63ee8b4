/** Listings: the names alone, or with what the server tells about each. */
import type { ClientReply } from '#client/client.ts'
import { CommandFailure, EXIT_OK, EXIT_REMOTE } from './failure.ts'
import { isObject } from './json.ts'
import type { Output } from './output.ts'
import { toSecret } from './secret.ts'
import { plainField, table } from './table.ts'

/** @param place  for the message that nothing is there, which is an error as it is in the Vault CLI */
export async function printKeys(
  output: Output,
  reply: ClientReply | undefined,
  place: string,
  detailed = false,
): Promise<number> {
  const secret = reply && toSecret(reply.json)
  if (!reply || !secret || (!secret.data && !secret.wrap_info)) {
    if (output.format === 'json' || output.format === 'yaml') {
      await output.data({})
      return EXIT_REMOTE
    }
    throw new CommandFailure(`No value found at ${place}`)
  }
  if (secret.wrap_info || output.field !== undefined || output.format === 'raw') return await output.reply(reply)
  const keys = Array.isArray(secret.data?.['keys'])
    ? secret.data['keys'].filter((each) => typeof each === 'string')
    : undefined
  if (!keys) throw new CommandFailure(`No entries found at ${place}`)
  if (output.format !== 'table') return await output.data(detailed ? secret.data : keys)
  output.warnings(secret.warnings)
  const info = secret.data?.['key_info']
  output.line(detailed && isObject(info) ? detailedTable(keys, info) : table([['Keys'], ...keys.map((each) => [each])]))
  return EXIT_OK
}

function detailedTable(keys: readonly string[], info: Record<string, unknown>): string {
  const about = (key: string) => (isObject(info[key]) ? info[key] : {})
  const names = [...new Set(keys.flatMap((key) => Object.keys(about(key))))].sort()
  return table([
    ['Keys', ...names],
    ...keys.map((key) => [key, ...names.map((name) => plainField(name, about(key)[name] ?? ''))]),
  ])
}
