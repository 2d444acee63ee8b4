/**
 * Loaded before a server (`--import`), profiles its main thread from the first SIGUSR2 on and writes `server.cpuprofile` into
 * the folder that BENCH_PROFILE names when it exits. A server refuses to be started with Node's own option for that.
 */
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import path from 'node:path'
import { isMainThread } from 'node:worker_threads'

const folder = process.env['BENCH_PROFILE']
const SAMPLE_MICROS = 200

if (isMainThread && folder !== undefined) {
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROS })
  process.once('SIGUSR2', () => session.post('Profiler.start'))
  process.on('exit', () => {
    session.post('Profiler.stop', (_error, { profile }) => {
      writeFileSync(path.join(folder, 'server.cpuprofile'), JSON.stringify(profile))
    })
  })
}
