/** What this installation is called, in replies and by those who watch it. */
import { randomBytes, randomUUID } from 'node:crypto'

export interface Cluster {
  name: string
  id: string
}

/** @param name  from the configuration; else one is made up */
export function newCluster(name: string | undefined): Cluster {
  return { name: name ?? `strongroom-cluster-${randomBytes(4).toString('hex')}`, id: randomUUID() }
}
