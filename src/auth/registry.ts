/** Every auth method by the name operators enable it under; loaded when first enabled. */
import type { Engine } from '#sdk/engine.ts'

export const authMethods: Record<string, () => Promise<{ engine: Engine }>> = {
  approle: () => import('./approle/engine.ts'),
  userpass: () => import('./userpass/engine.ts'),
}
