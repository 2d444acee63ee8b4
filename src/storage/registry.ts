/** The storage drivers by the name that `storage "…"` has in a configuration file. */
import type { Driver } from '#sdk/storage.ts'

export interface DriverKind {
  /** @throws ApiError `storage_failed` or `invalid_request` with what to do about it */
  readonly open: (options: Readonly<Record<string, string>>) => Promise<Driver>
}

export const drivers: Record<'sqlite' | 'postgres' | 'memory', () => Promise<DriverKind>> = {
  sqlite: () => import('./sqlite/driver.ts'),
  postgres: () => import('./postgres/driver.ts'),
  memory: () => import('./memory/driver.ts'),
}
