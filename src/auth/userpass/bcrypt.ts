/** bcrypt hashes that were made elsewhere (`password_hash`): whether a text is one, and whether a password fits it. */
import { Worker } from 'node:worker_threads'
import { ApiError } from '#sdk/errors.ts'

export interface Question {
  number: number
  password: string
  text: string
}

export interface Answer {
  number: number
  right: boolean
}

/** Each step doubles the work; 14 takes about a second. One of 31 would take days, and the thread with it. */
export const MAX_COST = 14
const MIN_COST = 4

/** `$2a$10$` + 22 letters of salt + 31 of hash. */
const form = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/

/** @returns the cost; undefined if the text is no bcrypt hash or one whose cost is out of bounds */
export function bcryptCost(text: string): number | undefined {
  const cost = Number(form.exec(text)?.[1])
  return cost >= MIN_COST && cost <= MAX_COST ? cost : undefined
}

type Waiting = { resolve: (right: boolean) => void; reject: (error: Error) => void }

/** Started when first needed: most servers never see such a hash. */
let thread: Worker | undefined
const asked = new Map<number, Waiting>()
let lastNumber = 0

/** As bcrypt has it, nothing after the 72nd byte of a password counts. */
export function fitsBcrypt(text: string, password: string): Promise<boolean> {
  thread ??= start()
  lastNumber += 1
  const question: Question = { number: lastNumber, password, text }
  return new Promise((resolve, reject) => {
    asked.set(question.number, { resolve, reject })
    thread!.ref()
    thread!.postMessage(question)
  })
}

function start(): Worker {
  // It needs neither the environment, where secrets may stand, nor the options of this process.
  const worker = new Worker(new URL('bcrypt-thread.ts', import.meta.url), { env: {}, execArgv: [] })
  worker.on('message', ({ number, right }: Answer) => {
    asked.get(number)?.resolve(right)
    asked.delete(number)
    if (asked.size === 0) worker.unref()
  })
  worker.on('error', () => end('it failed'))
  worker.on('exit', () => end('it ended'))
  return worker
}

/** The next question starts it again. */
function end(why: string): void {
  thread = undefined
  const all = [...asked.values()]
  asked.clear()
  for (const { reject } of all) {
    reject(new ApiError('internal', 'internal error', { reason: `the thread that checks bcrypt hashes: ${why}` }))
  }
}
