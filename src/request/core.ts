import type { Audit } from '#core/audit/audit.ts'
import type { Identity } from '#core/identity/identity.ts'
import type { Leases } from '#core/leases/leases.ts'
import type { Lockout } from '#core/lockout.ts'
import type { Mounts } from '#core/mounts/mounts.ts'
import type { Policies } from '#core/policies/store.ts'
import type { Quotas } from '#core/quotas/quotas.ts'
import type { Settings } from '#core/settings/settings.ts'
import type { Tokens } from '#core/tokens/tokens.ts'
import type { Wrapping } from '#core/wrapping.ts'
import type { Measures } from './measure.ts'
import type { Clock } from '#sdk/engine.ts'

/** The services a request passes, joined once at unseal by main.ts. */
export interface Core {
  audit: Audit
  mounts: Mounts
  policies: Policies
  identity: Identity
  lockout: Lockout
  tokens: Tokens
  quotas: Quotas
  leases: Leases
  wrapping: Wrapping
  settings: Settings
  clock: Clock
  measures: Measures
}
