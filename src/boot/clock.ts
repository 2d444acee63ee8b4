/** The time of the machine. */
import type { Clock } from '#sdk/engine.ts'

let lastMoment = new Date()

/** Many requests ask in the same millisecond; they share the answer, which nobody changes. */
export const systemClock: Clock = {
  now() {
    const nowMs = Date.now()
    if (nowMs !== lastMoment.getTime()) lastMoment = new Date(nowMs)
    return lastMoment
  },
}
