/**
 * Slashes at the ends of paths. In one pass: a pattern such as `\/+$` looks on from every slash for an end that may not be
 * there, and 60,000 of them in a header would keep the server for seconds. Pure.
 */
const SLASH = 0x2f

export function trimSlashes(text: string): string {
  let start = 0
  while (text.charCodeAt(start) === SLASH) start += 1
  return trimLastSlashes(start === 0 ? text : text.slice(start))
}

export function trimLastSlashes(text: string): string {
  let end = text.length
  while (end > 0 && text.charCodeAt(end - 1) === SLASH) end -= 1
  return end === text.length ? text : text.slice(0, end)
}
