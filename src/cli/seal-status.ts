/** The state of a server as `status` and `operator unseal` print it. */
import { isObject } from './json.ts'
import type { Output } from './output.ts'
import type { Session } from './session.ts'
import { plain, table } from './table.ts'

export async function printSealStatus(output: Output, session: Session, seal: Record<string, unknown>): Promise<void> {
  const leader = seal['sealed'] === true ? {} : await readLeader(session)
  if (output.format !== 'table') {
    await output.data({ ...seal, ...leader })
    return
  }
  output.line(table([['Key', 'Value'], ...sealRows(seal), ...leaderRows(leader)]))
}

/** Who leads, from a server that tells: one that is sealed, or whose answer is a refusal, does not. */
async function readLeader(session: Session): Promise<Record<string, unknown>> {
  const reply = await session.ask('GET', 'sys/leader')
  return isObject(reply.json) ? reply.json : {}
}

function sealRows(seal: Record<string, unknown>): [string, string][] {
  const sealed = seal['sealed'] === true
  const rows: [string, string][] = []
  const row = (name: string, value: unknown) => rows.push([name, plain(value)])
  const ifAny = (name: string, value: unknown) =>
    value === undefined || value === '' || value === null ? 0 : row(name, value)
  const recovery = seal['recovery_seal'] === true
  row('Seal Type', seal['type'])
  if (recovery) ifAny('Recovery Seal Type', seal['recovery_seal_type'])
  row('Initialized', seal['initialized'])
  row('Sealed', seal['sealed'])
  row(recovery ? 'Total Recovery Shares' : 'Total Shares', seal['n'])
  row('Threshold', seal['t'])
  if (sealed) {
    row('Unseal Progress', `${plain(seal['progress'])}/${plain(seal['t'])}`)
    row('Unseal Nonce', seal['nonce'])
  }
  if (seal['migration'] === true) row('Seal Migration in Progress', true)
  // Empty where the listener does not tell it.
  row('Version', seal['version'] === '' ? 'n/a' : seal['version'])
  ifAny('Build Date', seal['build_date'] === '' ? 'n/a' : seal['build_date'])
  ifAny('Storage Type', seal['storage_type'])
  ifAny('Cluster Name', seal['cluster_name'])
  ifAny('Cluster ID', seal['cluster_id'])
  if (Array.isArray(seal['warnings']) && seal['warnings'].length > 0) row('Warnings', seal['warnings'])
  return rows
}

function leaderRows(leader: Record<string, unknown>): [string, string][] {
  if (leader['ha_enabled'] === undefined) return [['HA Enabled', 'false']]
  const rows: [string, string][] = [['HA Enabled', plain(leader['ha_enabled'])]]
  if (leader['ha_enabled'] !== true) return rows
  rows.push(
    ['HA Cluster', plain(leader['leader_cluster_address'])],
    ['HA Mode', leader['is_self'] === true ? 'active' : 'standby'],
  )
  if (leader['is_self'] === true) rows.push(['Active Since', plain(leader['active_time'])])
  else rows.push(['Active Node Address', plain(leader['leader_address'] || '<none>')])
  return rows
}
