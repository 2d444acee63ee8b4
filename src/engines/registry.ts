/** Every secrets engine by the name operators mount it under; loaded when first mounted. */
import type { Engine } from '#sdk/engine.ts'

export const engines: Record<string, () => Promise<{ engine: Engine }>> = {
  cubbyhole: () => import('./cubbyhole/engine.ts'),
  // The name that the KV engine had before it got versions; old mounts and scripts still say it.
  generic: () => import('./kv/engine.ts'),
  kv: () => import('./kv/engine.ts'),
  transit: () => import('./transit/engine.ts'),
  pki: () => import('./pki/engine.ts'),
}
