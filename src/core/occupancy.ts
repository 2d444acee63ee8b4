/** How many are inside, and when nobody is: for what may be closed only then. */
export class Occupancy {
  #count = 0
  #idle: (() => void)[] = []

  get count(): number {
    return this.#count
  }

  enter(): void {
    this.#count += 1
  }

  leave(): void {
    this.#count -= 1
    if (this.#count === 0) for (const tell of this.#idle.splice(0)) tell()
  }

  /** @returns whether everybody left within `timeoutMs` */
  empty(timeoutMs: number): Promise<boolean> {
    if (this.#count === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs)
      this.#idle.push(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })
  }
}
