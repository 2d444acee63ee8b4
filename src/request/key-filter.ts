/** Templates of `list_scan_response_keys_filter_path`: from a listing and a name in it to the path whose policy decides. Pure. */

export type Template = (path: string, key: string) => string

const parts = /\{\{\s*\.(path|key)\s*(?:\|\s*replace\s+"([^"]*)"\s+"([^"]*)"\s*)?\}\}/g

/** Undefined for a text with anything else in braces. */
export function parseTemplate(text: string): Template | undefined {
  if (/\{\{|\}\}/.test(text.replaceAll(parts, ''))) return undefined
  return (path, key) =>
    text.replaceAll(parts, (_, name: string, from: string | undefined, to: string | undefined) => {
      const value = name === 'path' ? path : key
      return from === undefined || to === undefined ? value : value.replaceAll(from, () => to)
    })
}
