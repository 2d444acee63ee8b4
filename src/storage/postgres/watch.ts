/**
 * Asks the database again and again where it is, hears of what other nodes committed, and by that proves that what is kept
 * here is fresh. Woken at once where the database can notify; else what others commit is heard of at the next question.
 */
import { ApiError } from '#sdk/errors.ts'
import { whyOf } from './failures.ts'
import type { Feed } from './feed.ts'
import type { Names } from './schema.ts'
import { Session } from './session.ts'
import type { Settings } from './settings.ts'
import type { Table } from './table.ts'

/** So many questions in the time that memory may be trusted, so that one that is lost does no harm. */
const QUESTIONS = 4
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

export class Watch {
  readonly #settings: Settings
  readonly #names: Names
  readonly #table: Table
  readonly #feed: Feed
  readonly #node: string
  readonly #onListening: (listening: boolean) => void
  #session: Session | undefined
  #wake: (() => void) | undefined
  #woken = false
  #closed = false
  #trouble: { text: string; since: number } | undefined
  #running: Promise<void> | undefined

  constructor(
    given: { settings: Settings; names: Names; table: Table; feed: Feed; node: string },
    onListening: (listening: boolean) => void,
  ) {
    this.#settings = given.settings
    this.#names = given.names
    this.#table = given.table
    this.#feed = given.feed
    this.#node = given.node
    this.#onListening = onListening
  }

  start(): void {
    this.#running = this.#run()
  }

  trouble(): string | undefined {
    if (!this.#trouble || this.#feed.fresh) return undefined
    const seconds = Math.round((performance.now() - this.#trouble.since) / 1000)
    return `the database cannot be reached for ${seconds} s, so nothing is served from memory: ${this.#trouble.text}`
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#session?.cut()
    this.#wake?.()
    await this.#running
  }

  async #run(): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS
    while (!this.#closed) {
      try {
        this.#session = await Session.open(this.#settings.place, this.#settings.limitMs, {
          onNotice: (from) => this.#noticed(from),
        })
        await this.#listen(this.#session)
        for (;;) {
          await this.#ask(this.#session)
          pauseMs = FIRST_PAUSE_MS
          this.#trouble = undefined
          if (this.#closed) break
          await this.#pause(this.#settings.stalenessMs / QUESTIONS)
        }
      } catch (error) {
        this.#trouble = { text: whyOf(error), since: this.#trouble?.since ?? performance.now() }
        this.#session?.cut()
        this.#woken = false
        await this.#pause(pauseMs)
        pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
      }
    }
    this.#session?.cut()
  }

  async #listen(session: Session): Promise<void> {
    try {
      await session.simple(`LISTEN ${this.#names.channel}`, this.#settings.limitMs)
      this.#onListening(true)
    } catch (error) {
      if (session.over || !(error instanceof ApiError)) throw error
      this.#onListening(false)
    }
  }

  async #ask(session: Session): Promise<void> {
    this.#woken = false
    const asked = performance.now()
    const before = this.#feed.seen
    const head = await this.#table.head(session, Math.min(this.#settings.stalenessMs, this.#settings.limitMs))
    await this.#feed.follow(session, head, before)
    this.#feed.prove(asked)
  }

  #noticed(from: string): void {
    if (from === this.#node) return
    this.#woken = true
    this.#wake?.()
  }

  /** Until it is time, or somebody wakes it. */
  async #pause(ms: number): Promise<void> {
    if (this.#woken || this.#closed) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = undefined
  }
}
