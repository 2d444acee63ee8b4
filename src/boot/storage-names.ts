import type { drivers } from '#storage/registry.ts'

/** What the Vault API calls the stores. */
export const wireNames: Readonly<Record<keyof typeof drivers, string>> = {
  memory: 'inmem',
  postgres: 'postgresql',
  sqlite: 'sqlite',
}
