/** By hand: how many recorded cases agree in each area, and why the others differ. `bin/node test/conformance/report.ts [area …]` */
import { loadExchanges, replay } from './replay.ts'

const areas = process.argv.slice(2)
const results = await replay(loadExchanges(), areas.length > 0 ? areas : undefined)
for (const [area, cases] of Map.groupBy(results, (result) => result.area)) {
  const agree = cases.filter((each) => each.differences.length === 0)
  const exchanges = cases.reduce((sum, each) => sum + each.exchanges, 0)
  console.log(`${area.padEnd(16)} ${agree.length} of ${cases.length} cases agree (${exchanges} exchanges)`)
  if (areas.length === 0) continue
  for (const each of cases) for (const difference of each.differences) console.log(`  ${each.name}: ${difference}`)
}
const all = results.filter((result) => result.differences.length === 0).length
console.log(`${'all'.padEnd(16)} ${all} of ${results.length} cases agree`)
process.exit(0)
