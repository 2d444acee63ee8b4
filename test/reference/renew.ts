/** Writes the reference anew: `bin/node test/reference/renew.ts`. Pages that nothing stands for any more are removed. */
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { allPages } from './pages.ts'

const pages = await allPages()
const kept = new Set(pages.map(({ file }) => file))
for (const file of globSync('docs/reference/**/*.md')) if (!kept.has(file)) rmSync(file)
for (const { file, text } of pages) {
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, text)
}
process.stdout.write(`${pages.length} pages below docs/reference\n`)
