/** Each script in scripts/ runs against a server of its own. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { matches, readScript, startWorkplace } from './harness.ts'

const directory = join(import.meta.dirname, 'scripts')

for (const name of (await readdir(directory)).sort()) {
  test(`script ${name}`, async () => {
    const path = join(directory, name)
    const steps = await readScript(path)
    const fresh = (await readFile(path, 'utf8')).startsWith('# server: fresh\n')
    await using workplace = await startWorkplace(fresh ? 'fresh' : 'dev')
    for (const step of steps) {
      const outcome = await workplace.sh(step.command)
      const told = `${name}:${step.line}: ${step.command}\nexit code ${outcome.code}\n--- stdout\n${outcome.stdout}--- stderr\n${outcome.stderr}---`
      assert.equal(outcome.code, step.code, told)
      assert.ok(
        matches(step.stdout, outcome.stdout),
        `standard output differs\n${told}\nexpected\n${step.stdout.join('\n')}`,
      )
      assert.ok(
        matches(step.stderr, outcome.stderr),
        `standard error differs\n${told}\nexpected\n${step.stderr.join('\n')}`,
      )
    }
  })
}
