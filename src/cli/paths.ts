/** Paths as people type them. Pure. */
import { trimSlashes } from '#lib/slashes.ts'

/** Without spaces and slashes around it. */
export function cleanPath(text: string): string {
  return trimSlashes(text.trim())
}

/** With one slash at the end, as mounts are written. */
export function mountPath(text: string): string {
  return `${cleanPath(text)}/`
}
