/** Clients that never stop asking, and a book of what they were told. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from '#test/server.ts'
import type { MixServer } from './server.ts'

const WRITERS = 8
const ENCRYPTERS = 2
const TOKEN_CLIENTS = 2
/** Names of one page of a list. */
const PAGE = 1000
const MESSAGE_BYTES = 24
/** After a refusal, and when nobody answers. */
const PAUSE_MS = 5
/** Looked up after each round; all of them are at the end. */
const SAMPLE = 20
/** A connection on which nothing happens any more is a failed request, whatever the server thinks of it. */
const PATIENCE_MS = 30_000

/** One secret, written by one client with rising numbers. */
interface Counter {
  /** The last that was acknowledged, and the last that was sent: what is stored lies between. */
  acknowledged: number
  sent: number
}

export class Load {
  readonly #server: MixServer
  readonly #counters: Counter[] = Array.from({ length: WRITERS }, () => ({ acknowledged: 0, sent: 0 }))
  readonly #live: string[] = []
  readonly #dead: string[] = []
  readonly #messages: { plaintext: string; ciphertext: string }[] = []
  /** Ids of requests whose answers arrived. */
  readonly answered: string[] = []
  #stopped = false
  #clients: Promise<void>[] = []
  acknowledged = 0

  constructor(server: MixServer) {
    this.#server = server
  }

  start(): void {
    this.#clients = [
      ...this.#counters.map((counter, n) => this.#repeat(() => this.#write(counter, n))),
      ...Array.from({ length: TOKEN_CLIENTS }, () => this.#repeat(() => this.#token())),
      ...Array.from({ length: ENCRYPTERS }, () => this.#repeat(() => this.#encrypt())),
    ]
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#clients)
  }

  /** @returns what was acknowledged and is not so */
  async check(all = false): Promise<string[]> {
    const problems = await Promise.all(this.#counters.map((counter, n) => this.#checkCounter(counter, n)))
    const some = <T>(given: readonly T[]) => (all ? [...given] : given.slice(-SAMPLE))
    for (const token of some(this.#live)) {
      const { status } = await this.#server.send('GET', 'auth/token/lookup-self', undefined, token)
      if (status !== 200) problems.push(`a token that was given out is gone (${status})`)
    }
    for (const token of some(this.#dead)) {
      const { status } = await this.#server.send('GET', 'auth/token/lookup-self', undefined, token)
      if (status !== 403) problems.push(`a token that was revoked is back (${status})`)
    }
    for (const { plaintext, ciphertext } of some(this.#messages)) {
      const { status, body } = await this.#server.send('POST', 'transit/decrypt/mix', { ciphertext })
      if (status !== 200 || body.data.plaintext !== plaintext) {
        problems.push(`a message of key version ${ciphertext.split(':')[1]} does not open (${status})`)
      }
    }
    return problems.filter((problem) => problem !== undefined)
  }

  /** Once nothing is under way: the quota has counted every token there is but the first, which never ends. */
  async checkLeaseCount(): Promise<string[]> {
    const { body: quota } = await this.#server.send('GET', 'sys/quotas/lease-count/mix')
    let tokens = 0
    for (let after = '', page = PAGE; page === PAGE; tokens += page) {
      const { body } = await this.#server.send('LIST', `auth/token/accessors?limit=${PAGE}&after=${after}`)
      page = body.data.keys.length
      after = body.data.keys.at(-1)
    }
    const { counter } = quota.data
    return counter === tokens - 1 ? [] : [`the quota counts ${counter} leases of tokens, there are ${tokens - 1}`]
  }

  async #checkCounter(counter: Counter, n: number): Promise<string | undefined> {
    const before = counter.acknowledged
    const { status, body } = await this.#server.send('GET', `secret/data/counter-${n}`)
    if (before === 0 && status === 404) return undefined
    const stored = body?.data?.data?.number
    if (status !== 200) return `counter ${n}: ${status}`
    return stored >= before && stored <= counter.sent
      ? undefined
      : `counter ${n}: ${stored} is stored, ${before} was acknowledged, ${counter.sent} sent`
  }

  async #repeat(work: () => Promise<boolean>): Promise<void> {
    while (!this.#stopped) if (!(await work())) await sleep(PAUSE_MS)
  }

  async #write(counter: Counter, n: number): Promise<boolean> {
    const number = (counter.sent += 1)
    const answer = await this.#ask('POST', `secret/data/counter-${n}`, { data: { number } })
    if (!answer) return false
    counter.acknowledged = number
    return true
  }

  async #token(): Promise<boolean> {
    const made = await this.#ask('POST', 'auth/token/create', { policies: ['default'], ttl: '12h' })
    if (!made) return false
    const token: string = made.body.auth.client_token
    if (this.acknowledged % 2 === 0) {
      this.#live.push(token)
      return true
    }
    // Only what was acknowledged counts: of a revocation without an answer nobody knows whether it happened.
    if (await this.#ask('POST', 'auth/token/revoke', { token })) this.#dead.push(token)
    return true
  }

  async #encrypt(): Promise<boolean> {
    const plaintext = randomBytes(MESSAGE_BYTES).toString('base64')
    const answer = await this.#ask('POST', 'transit/encrypt/mix', { plaintext })
    if (!answer) return false
    this.#messages.push({ plaintext, ciphertext: answer.body.data.ciphertext })
    return true
  }

  /** Undefined for whatever is no acknowledgement. */
  async #ask(method: string, where: string, body: unknown): Promise<Answer | undefined> {
    try {
      const late = sleep(PATIENCE_MS, undefined, { ref: false }).then(() => undefined)
      const answer = await Promise.race([this.#server.send(method, where, body), late])
      if (answer === undefined || answer.status >= 300) return undefined
      this.acknowledged += 1
      if (answer.body?.request_id) this.answered.push(answer.body.request_id)
      return answer
    } catch {
      return undefined
    }
  }
}
