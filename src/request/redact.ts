/** What a listener was told not to tell those who need no token: versions, names and addresses. */
import type { Outgoing, Redaction } from './incoming.ts'

/** @param answer  JSON of a path without the barrier; what it does not have stays away */
export function redacted(answer: Outgoing, { addresses, clusterName, version }: Redaction): Outgoing {
  if (typeof answer.body !== 'string' || answer.contentType !== 'application/json') return answer
  const fields = JSON.parse(answer.body) as Record<string, unknown>
  const empty = [
    ...(version ? ['version', 'build_date'] : []),
    ...(addresses ? ['leader_address', 'leader_cluster_address'] : []),
  ]
  for (const name of empty) if (Object.hasOwn(fields, name)) fields[name] = ''
  if (clusterName) delete fields['cluster_name']
  return { ...answer, body: `${JSON.stringify(fields)}\n` }
}
