/** Completion as a person sees it: in a real bash on a terminal, and by what the program answers. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test, { after } from 'node:test'
import { startWorkplace } from './harness.ts'

const place = await startWorkplace()
after(() => place[Symbol.asyncDispose]())
await place.sh('for n in app/database app/queue; do strongroom kv put secret/$n a=b; done')
await place.sh('strongroom policy write shop -', { input: 'path "x" { capabilities = ["read"] }' })

async function completed(line: string, env: Record<string, string | undefined> = {}): Promise<string[]> {
  const { stdout, stderr, code } = await place.sh('strongroom strongroom "$WORD"', {
    env: { COMP_LINE: line, WORD: line.split(/[ =]/).at(-1), ...env },
  })
  assert.equal(stderr, '')
  assert.equal(code, 0)
  return stdout.split('\n').slice(0, -1)
}

const cases: [line: string, wanted: string[]][] = [
  ['strongroom st', ['start ', 'status ']],
  ['strongroom kv metadata p', ['patch ', 'put ']],
  ['strongroom kv put -c', ['-ca-cert=', '-ca-path=', '-cas=', '-client-cert=', '-client-key=']],
  ['strongroom kv put --ca-', ['--ca-cert=', '--ca-path=']],
  ['strongroom read -format=', ['table ', 'json ', 'yaml ', 'raw ']],
  ['strongroom read -format j', ['json ']],
  ['strongroom token revoke -sel', ['-self ']],
  ['strongroom kv get sec', ['secret/']],
  ['strongroom kv get secret/app/', ['secret/app/database ', 'secret/app/queue ']],
  ['strongroom kv get -mount=secret app/d', ['app/database ']],
  ['strongroom kv get -mount=secret app/database -fi', ['-field=']],
  ['strongroom kv get secret/app/database x', []],
  ['strongroom read secret/metadata/a', ['secret/metadata/app/']],
  ['strongroom list secret/metadata/app/q', ['secret/metadata/app/queue ']],
  ['strongroom policy read s', ['shop ']],
  ['strongroom auth tune to', ['token/']],
  ['strongroom secrets disable se', ['secret/']],
  ['strongroom nonsense x', []],
  ['strongroom kv get "secret/app/d', ['secret/app/database ']],
]
for (const [line, wanted] of cases) {
  test(`completes: ${line}`, async () => {
    assert.deepEqual(await completed(line), wanted)
  })
}

test('a name that a shell would run, or cut in two, is not offered', async () => {
  await place.sh("for n in '$(id)' 'a;id' 'a b' '`id`' 'a>b' plain; do strongroom kv put \"secret/odd/$n\" a=b; done")
  assert.deepEqual(await completed('strongroom kv get secret/odd/'), ['secret/odd/plain '])
})

test('the cursor counts, not the end of the line; a shell that does not break at = gets the whole word', async () => {
  assert.deepEqual(await completed('strongroom kv get x', { COMP_POINT: '13', WORD: 'kv' }), ['kv '])
  const line = 'strongroom read -format=y'
  assert.deepEqual(await completed(line, { WORD: '-format=y' }), ['-format=yaml '])
})

test('without a server, without a token and with a token that may nothing it is silent', async () => {
  const line = 'strongroom kv get secret/app/'
  for (const env of [
    { STRONGROOM_ADDR: 'http://127.0.0.1:1' },
    { STRONGROOM_TOKEN: 'none' },
    { STRONGROOM_TOKEN: undefined },
  ]) {
    assert.deepEqual(await completed(line, env), [])
  }
})

test('install puts one line into the files of the shells that are used, once; uninstall takes it away', async () => {
  const file = join(place.home, '.bashrc')
  const none = await place.sh('strongroom -autocomplete-install')
  assert.equal(none.code, 1)
  assert.match(none.stderr, /none of ~\/\.bashrc/)
  await writeFile(file, 'alias l=ls')
  assert.match((await place.sh('strongroom -autocomplete-install')).stdout, /\.bashrc: added/)
  assert.match((await place.sh('strongroom completion install')).stdout, /\.bashrc: it is there already/)
  const line = 'complete -o nospace -C strongroom strongroom'
  assert.equal(await readFile(file, 'utf8'), `alias l=ls\n${line}\n`)
  assert.match((await place.sh('strongroom -autocomplete-uninstall')).stdout, /\.bashrc: removed/)
  assert.equal(await readFile(file, 'utf8'), 'alias l=ls\n')
})

test('in a bash on a terminal the tab key finishes words, and Enter runs what stands there', async () => {
  await writeFile(
    join(place.directory, 'type.py'),
    `import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0: os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
def seen(want, text=b''):
    end = time.time() + 40
    while want not in text and time.time() < end:
        if select.select([fd], [], [], 1)[0]: text += os.read(fd, 4096)
    if want not in text: sys.exit('not seen: %r in %r' % (want, text))
    return text
os.write(fd, b"PS1='ready> '\\n"); seen(b'ready> ')
os.write(fd, b'eval "$(strongroom completion bash)"\\n'); seen(b'ready> ')
os.write(fd, b'strongroom kv ge\\t'); seen(b'get ')
os.write(fd, b'-format=js\\t'); seen(b'-format=json ')
os.write(fd, b'secret/app/d\\t'); seen(b'secret/app/database ')
os.write(fd, b'\\n'); seen(b'"a": "b"')
print('all seen')
`,
  )
  const { stdout, stderr } = await place.sh('python3 type.py')
  assert.equal(stdout, 'all seen\n', stderr)
})

test('an unknown shell is refused', async () => {
  const { code, stderr } = await place.sh('strongroom completion tcsh')
  assert.equal(code, 1)
  assert.match(stderr, /"tcsh" is none of bash, zsh, fish/)
})
