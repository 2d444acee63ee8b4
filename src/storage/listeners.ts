/** Those who want to hear of commits. */
import type { Commit } from '#sdk/storage.ts'

export type CommitListener = (commit: Commit) => void

export function tell(listeners: readonly CommitListener[], commit: Commit): void {
  for (const listener of listeners) {
    try {
      listener(commit)
    } catch (error) {
      // The commit stands and the others must hear of it. But whoever failed here now keeps something stale, so the error
      // surfaces as an uncaught one: stopping is safer than serving what was revoked.
      process.nextTick(() => {
        throw error
      })
    }
  }
}
