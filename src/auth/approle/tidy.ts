/** `tidy/secret-id`: removes on demand what the background work removes anyway. */
import { endpoint, type Call, type Path, type Reply } from '#sdk/engine.ts'
import { tidySecrets } from './secrets.ts'

export const tidyPath: Path = {
  pattern: 'tidy/secret-id',
  operations: { update: endpoint('Remove secret ids that have expired.', {}, tidy) },
}

/** Mounts, by uuid, that are being tidied. */
const running = new Map<string, Promise<void>>()

/** It may take long, so it goes on behind the answer; one at a time. */
async function tidy({ mount }: Call): Promise<Reply> {
  if (running.has(mount.uuid)) return { status: 202, warnings: ['Tidy operation already in progress.'] }
  const work = tidySecrets(mount.storage, mount.clock.now())
    // Nobody waits for it any more. What it left undone is found again by the next run.
    .catch(() => {})
    .finally(() => running.delete(mount.uuid))
  running.set(mount.uuid, work)
  return {
    status: 202,
    warnings: [
      'Tidy operation successfully started. Any information from the operation will be printed to the server logs.',
    ],
  }
}
