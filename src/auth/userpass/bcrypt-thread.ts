/** The thread that checks bcrypt hashes: pure JavaScript that would keep the requests' thread for tens of milliseconds. */
import { compareSync } from 'bcryptjs'
import { parentPort } from 'node:worker_threads'
import type { Answer, Question } from './bcrypt.ts'

const port = parentPort!

port.on('message', ({ number, password, text }: Question) => {
  port.postMessage({ number, right: compareSync(password, text) } satisfies Answer)
})
