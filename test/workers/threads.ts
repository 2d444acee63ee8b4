/** The threads of this process that answer requests, noted as they start: a test may end one. For tests only. */
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'

const started = new Set<Worker>()

diagnostics.subscribe('worker_threads', (message) => {
  const { worker } = message as { worker: Worker }
  started.add(worker)
  worker.once('exit', () => started.delete(worker))
})

export function workerThreads(): Worker[] {
  return [...started].filter(({ threadName }) => threadName === 'worker')
}

/** In the middle of whatever it does. */
export async function killWorker(worker: Worker): Promise<void> {
  const gone = once(worker, 'exit')
  await worker.terminate()
  await gone
}
