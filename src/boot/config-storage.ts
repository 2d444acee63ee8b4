/** The `storage` stanza: which store, and what of it is taken otherwise than written. */
import { postgresKeys, storageKeys, tellUnknown } from './config-keys.ts'

interface Given {
  type: string
  options: Record<string, string>
  at: string
  /** What cannot be used ends here. */
  refuse: (text: string) => never
}

export interface StorageChoice {
  type: 'sqlite' | 'postgres' | 'memory'
  options: Record<string, string>
}

export function storageOf({ type, options, at, refuse }: Given, notices: string[]): StorageChoice {
  const requiredPath = () => {
    if (!options['path']) refuse(`${at}: storage "${type}" needs a path`)
    return { path: options['path']! }
  }
  switch (type) {
    case 'inmem':
    case 'memory':
      return { type: 'memory', options: {} }
    case 'file':
    case 'raft':
      notices.push(
        `${at}: storage "${type}" is taken as the embedded store in the same folder; data of another server there is not read`,
      )
      return { type: 'sqlite', options: requiredPath() }
    case 'sqlite':
      tellUnknown(storageKeys, options, at, 'storage "sqlite"', notices)
      return { type: 'sqlite', options: requiredPath() }
    case 'postgres':
    case 'postgresql':
      tellUnknown(postgresKeys, options, at, `storage "${type}"`, notices)
      return { type: 'postgres', options }
    default:
      return refuse(
        `${at}: storage "${type}" is not known: use "sqlite" { path = "…" }, "postgres" { connection_url = "…" } or "inmem" {}`,
      )
  }
}
