/** A page of the reference, and what all of them are made of. Pure. */

export interface Page {
  /** From the top of the repository. */
  file: string
  text: string
}

/** Text inside of a table. */
export function cell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|')
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`.replaceAll(/ +(?=\|)/g, ' ')
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n')
}
