/**
 * Each page below docs/how-to, run word by word in one shell, beside a server that was started as the README says. A `text`
 * block behind a step is what the step prints: its lines, in this order, among others; `…` stands for anything in a line.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { type Program, startProgram } from '#test/program.ts'
import { freePort } from '#test/port.ts'

const FOLDER = 'docs/how-to'
const pages = readdirSync(FOLDER).filter((name) => name !== 'README.md')

/** Every such block is run: what stands in a page has to be true. */
const BLOCK = /(?:<!-- (refused) -->\n)?```sh\n(.*?)```(?:\n\n```text\n(.*?)```)?/gs

interface Step {
  refused: boolean
  script: string
  prints: string[]
}

const END = '=== end of step'

test('there are how-tos, and the list of them has each', () => {
  assert.ok(pages.length >= 9)
  const list = readFileSync(path.join(FOLDER, 'README.md'), 'utf8')
  assert.deepEqual(Array.from(list.matchAll(/\]\(([\w-]+\.md)\)/g), ([, name]) => name!).toSorted(), pages.toSorted())
})

for (const page of pages) {
  test(`${page} works by its words alone`, { timeout: 120_000 }, async () => {
    const text = readFileSync(path.join(FOLDER, page), 'utf8')
    const steps = stepsOf(text)
    assert.ok(steps.length >= 3)
    const folder = mkdtempSync(path.join(tmpdir(), 'strongroom-how-to-'))
    const server = await startProgram({ folder: path.join(folder, 'strongroom-data') })
    try {
      const other = await freePort()
      const script = steps.map(({ script: words, refused }, at) => {
        const here = words.replaceAll('127.0.0.1:8200', `127.0.0.1:${server.port}`).replaceAll(':8300', `:${other}`)
        return `${here}\nstatus=$?; [ $status ${refused ? '-ne' : '-eq'} 0 ] || { echo "STEP ${at + 1} ended with $status"; exit 1; }; echo '${END}'`
      })
      const { output, code } = await runShell(script.join('\n'), folder, server)
      assert.equal(code, 0, output)
      const said = output.split(`${END}\n`)
      for (const [at, step] of steps.entries()) assertPrints(said[at]!, step)
    } finally {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  })
}

test('links of the documentation lead somewhere', () => {
  const files = [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    ...readdirSync('docs', { recursive: true })
      .map((name) => `docs/${String(name).replaceAll(path.sep, '/')}`)
      .filter((name) => name.endsWith('.md')),
  ]
  for (const file of files) {
    for (const [, target] of readFileSync(file, 'utf8').matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue
      const place = path.join(path.dirname(file), target!)
      assert.doesNotThrow(() => readdirOrFile(place), `${file}: ${target}`)
    }
  }
})

function readdirOrFile(place: string): void {
  try {
    readFileSync(place)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EISDIR') throw error
  }
}

function stepsOf(text: string): Step[] {
  const steps = Array.from(text.matchAll(BLOCK), ([, refused, script, prints]) => ({
    refused: refused !== undefined,
    script: script!,
    prints: prints?.trimEnd().split('\n') ?? [],
  }))
  assert.equal(steps.length, text.match(/^```sh$/gm)!.length)
  assert.equal(steps.filter(({ prints }) => prints.length > 0).length, text.match(/^```text$/gm)?.length ?? 0)
  return steps
}

function assertPrints(said: string, { script, prints }: Step): void {
  const lines = said.split('\n').map(squeezed)
  let from = 0
  for (const line of prints) {
    const pattern = squeezed(line)
      .split('…')
      .map((part) => RegExp.escape(part))
      .join('.*')
    const at = lines.findIndex((each, index) => index >= from && new RegExp(`^${pattern}$`).test(each))
    assert.ok(at >= 0, `${script}\nshould print\n${line}\nand printed\n${said}`)
    from = at + 1
  }
}

const squeezed = (line: string) => line.trim().replaceAll(/\s+/g, ' ')

/** Its processes are a group of their own, so that nothing of them stays. */
async function runShell(script: string, folder: string, server: Program) {
  const home = path.join(folder, 'home')
  mkdirSync(home)
  const shell = spawn('bash', ['-c', script], {
    cwd: folder,
    detached: true,
    env: {
      PATH: `${path.resolve('bin')}:${process.env['PATH']}`,
      HOME: home,
      STRONGROOM_ADDR: `http://127.0.0.1:${server.port}`,
      STRONGROOM_TOKEN: server.token,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  shell.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  shell.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(shell, 'exit')) as [number | null]
  try {
    process.kill(-shell.pid!, 'SIGKILL')
  } catch (error) {
    // Nothing was left of the group.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
  await new Promise((resolve) => setTimeout(resolve, 50))
  return { output, code }
}
