/** Paths as people type them. Pure. */

/** Without spaces and slashes around it. */
export function cleanPath(text: string): string {
  return text.trim().replace(/^\/+|\/+$/g, '')
}

/** With one slash at the end, as mounts are written. */
export function mountPath(text: string): string {
  return `${cleanPath(text)}/`
}
