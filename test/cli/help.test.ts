/** Help: of every command, with every flag, and of what is not there. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import test from 'node:test'
import { allFlags } from '#cli/command.ts'
import { type Entry, isGroup, type Leaf, root as registry } from '#cli/registry.ts'
import { type Outcome, root, runShell } from './harness.ts'

const run = async (command: string): Promise<Outcome> =>
  await runShell(command, tmpdir(), { PATH: `${root}/bin:/usr/bin:/bin`, HOME: `${tmpdir()}/strongroom-help-test` })

function leaves(entry: Entry, path: string[] = []): { path: string[]; leaf: Leaf }[] {
  if (!isGroup(entry)) return [{ path, leaf: entry }]
  return Object.entries(entry.commands).flatMap(([name, each]) => leaves(each, [...path, name]))
}

const wanted = `
  status read write list delete patch login unwrap path-help version
  operator/init operator/unseal operator/seal operator/key-status
  operator/generate-root operator/members operator/rekey operator/rotate operator/rotate-keys
  operator/backup operator/diagnose operator/restore
  kv/get kv/put kv/patch kv/delete kv/undelete kv/destroy kv/rollback kv/list kv/enable-versioning
  kv/search kv/expiring kv/undo
  kv/metadata/get kv/metadata/put kv/metadata/patch kv/metadata/delete
  token/create token/lookup token/renew token/revoke token/capabilities
  policy/list policy/read policy/write policy/delete policy/fmt
  secrets/enable secrets/disable secrets/list secrets/tune secrets/move
  auth/enable auth/disable auth/list auth/tune auth/help auth/move
  audit/list audit/enable audit/disable lease/renew lease/revoke lease/lookup print/token
  plugin/list plugin/info plugin/register plugin/deregister plugin/reload monitor debug completion`

test('there are the commands that are promised and no others', () => {
  assert.deepEqual(
    leaves(registry)
      .map(({ path }) => path.join('/'))
      .sort(),
    wanted.trim().split(/\s+/).sort(),
  )
})

test('the help of every command has each of its flags with a description, and goes to standard output', async () => {
  const all = leaves(registry)
  assert.ok(all.length > 50)
  // One process a command would take a minute; a handful shows that the launcher leads there.
  const { commandHelp } = await import('#cli/help.ts')
  for (const { path, leaf } of all) {
    const command = await leaf.load()
    const text = commandHelp(path, leaf.about, command)
    assert.ok(text.startsWith(`Usage: strongroom ${path.join(' ')}`), path.join(' '))
    assert.ok(text.includes(leaf.about))
    for (const [name, flag] of Object.entries(allFlags(command))) {
      for (const each of [name, ...(flag.aliases ?? [])])
        assert.match(text, new RegExp(`^  .*-${each}(?=[=,\\n])`, 'm'), `${path.join(' ')} -${each}`)
      assert.ok(flag.about.endsWith('.'), `${path.join(' ')} -${name}`)
    }
    assert.ok(text.split('\n').every((line) => line.length <= 200))
  }
  for (const command of ['kv get', 'operator init', 'login', 'kv metadata patch']) {
    for (const flag of ['-h', '-help', '--help']) {
      const outcome = await run(`strongroom ${command} ${flag}`)
      assert.equal(outcome.code, 0)
      assert.equal(outcome.stderr, '')
      assert.ok(outcome.stdout.startsWith(`Usage: strongroom ${command}`))
    }
  }
})

test('help of a group lists its subcommands; without one it is an error', async () => {
  const asked = await run('strongroom kv -help')
  assert.equal(asked.code, 0)
  assert.match(asked.stdout, /enable-versioning +Turn a mount/)
  const bare = await run('strongroom kv metadata')
  assert.equal(bare.code, 1)
  assert.match(bare.stderr, /^Usage: strongroom kv metadata <subcommand>/)
  assert.equal(bare.stdout, '')
})

test('the program alone lists its commands, those of the server too, and ends with 127 unless asked', async () => {
  const asked = await run('strongroom -h')
  assert.equal(asked.code, 0)
  for (const name of [...Object.keys(registry.commands), 'server', 'start'])
    assert.match(asked.stdout, new RegExp(`^ {4}${name} +\\S`, 'm'))
  const bare = await run('strongroom')
  assert.equal(bare.code, 127)
  assert.equal(bare.stderr, asked.stdout)
})

test('a command that is not there is told with the one that was probably meant', async () => {
  const cases: [string, number, RegExp][] = [
    ['strongroom staus', 127, /"staus" is no command.*Did you mean "strongroom status"\?/],
    ['strongroom servr', 127, /Did you mean "strongroom server"\?/],
    ['strongroom kv gte x', 1, /Did you mean "strongroom kv get"\?/],
    ['strongroom kv metadata ptu x', 1, /Did you mean "strongroom kv metadata put"\?/],
    ['strongroom constructor', 127, /"constructor" is no command of "strongroom"\.\n/],
    ['strongroom -address=http://x read y', 127, /Flags come after the command/],
  ]
  for (const [command, code, message] of cases) {
    const outcome = await run(command)
    assert.equal(outcome.code, code, command)
    assert.match(outcome.stderr, message)
    assert.equal(outcome.stdout, '')
  }
})

test('the version is that of the package, in every way to ask for it', async () => {
  const { version } = JSON.parse(await readFile(`${root}/package.json`, 'utf8')) as { version: string }
  for (const word of ['version', '-version', '--version', '-v']) {
    assert.deepEqual(await run(`strongroom ${word}`), { code: 0, stdout: `Strongroom v${version}\n`, stderr: '' })
  }
  assert.equal((await run(`${root}/bin/node ${root}/src/cli/main.ts version`)).stdout, `Strongroom v${version}\n`)
})

test('flags and arguments that do not fit are told before anything is sent', async () => {
  const cases: [string, RegExp][] = [
    ['strongroom read', /Not enough arguments \(expected at least 1, got 0\)/],
    ['strongroom status now', /Too many arguments \(expected 0, got 1\)/],
    ['strongroom token capabilities a b c', /Too many arguments \(expected 1 to 2, got 3\)/],
    ['strongroom kv get -verson=1 x', /not defined: -verson \(did you mean -version\?\)/],
    ['strongroom kv get -version x', /needs a value|expected an integer/],
    ['strongroom kv get -format=xml x', /expected one of table, json, yaml, raw/],
    ['strongroom lease revoke -force x', /-force requires also specifying -prefix/],
    ['strongroom token lookup -accessor', /Not enough arguments with -accessor/],
    ['strongroom token revoke -self -accessor', /Cannot use -self with -accessor/],
    ['strongroom operator unseal -reset key', /-reset takes no key/],
    ['strongroom kv rollback x', /Missing or invalid -version/],
    ['strongroom kv delete -versions=x y', /invalid version "x"/],
  ]
  for (const [command, message] of cases) {
    const outcome = await run(command)
    assert.equal(outcome.code, 1, command)
    assert.match(outcome.stderr, message)
  }
})
