/** Headers that operators add to answers, by status. Pure. */

/** Names and values for `default`, for a class such as `4xx`, and for one status such as `404`. */
export type ResponseHeaders = Readonly<Record<string, readonly (readonly [string, string])[]>>

/** @returns for a status: names and values in turn; of one name the most exact place counts */
export function headersByStatus(given: ResponseHeaders): (status: number) => readonly string[] {
  const kept = new Map<number, readonly string[]>()
  return (status) => {
    let list = kept.get(status)
    if (!list) {
      const merged = new Map<string, readonly [string, string]>()
      for (const place of ['default', `${Math.floor(status / 100)}xx`, String(status)]) {
        for (const pair of given[place] ?? []) merged.set(pair[0].toLowerCase(), pair)
      }
      // Statuses are few: what is kept stays small.
      kept.set(status, (list = [...merged.values()].flat()))
    }
    return list
  }
}
