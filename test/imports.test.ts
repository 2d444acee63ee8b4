/**
 * The import rules of the house, as a test. Reads every file below src/ and checks each import in it against the table, so
 * that a wrong one fails here within a second, with the rule it breaks.
 */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'node:test'

const all = ['http', 'request', 'sys', 'core', 'engines', 'auth', 'audit', 'storage', 'seal', 'sdk', 'lib']

/** room → rooms it may import. A room only names rooms below it, so rooms cannot form a cycle. */
const mayImport: Record<string, readonly string[]> = {
  main: ['boot', ...all],
  boot: all,
  http: ['request', 'sdk', 'lib'],
  request: ['core', 'sdk', 'lib'],
  sys: ['core', 'sdk', 'lib'],
  core: ['sdk', 'lib'],
  engines: ['sdk', 'lib'],
  auth: ['sdk', 'lib'],
  audit: ['sdk', 'lib'],
  storage: ['sdk', 'lib'],
  seal: ['sdk', 'lib'],
  cli: ['client', 'lib'],
  client: [],
  sdk: ['lib'],
  lib: [],
}

/** Inside core/, each may import only those before it. */
const coreOrder = [
  'audit',
  'lockout',
  'passwords',
  'settings',
  'mounts',
  'policies',
  'identity',
  'tokens',
  'access',
  'quotas',
  'leases',
  'wrapping',
]

/** Rooms whose folders are strangers to each other. */
const kinds = ['engines', 'auth', 'audit', 'storage', 'seal']

/** npm package → the only place that may import it. */
const packages: Record<string, string> = {
  '@aws-sdk/client-kms': 'seal/awskms',
  asn1js: 'lib/x509',
  'shamir-secret-sharing': 'seal/shamir',
  yaml: 'cli',
  bcryptjs: 'auth/userpass',
  openpgp: 'seal/pgp',
  '@noble/ciphers': 'engines/transit',
  '@noble/curves': 'engines/transit',
  pg: 'storage/postgres',
}

const importPattern = /\b(?:from|import)\s+'([^']+)'|\bimport\(\s*'([^']+)'/g

const files = globSync('src/**/*.ts').map((name) => name.replaceAll('\\', '/'))

test('there are files to check', () => assert.ok(files.length > 50))

for (const file of files) {
  const inside = file.slice('src/'.length)
  const room = inside.includes('/') ? inside.split('/')[0]! : 'main'
  const isTest = file.endsWith('.test.ts')

  test(`imports of ${inside}`, () => {
    for (const [, plain, lazy] of readFileSync(file, 'utf8').matchAll(importPattern)) {
      const target = (plain ?? lazy)!
      const problem = judge(inside, room, target)
      if (problem && !isTest) assert.fail(`'${target}': ${problem}`)
    }
  })
}

function judge(file: string, room: string, target: string): string | undefined {
  if (target.startsWith('node:')) return undefined
  if (target.startsWith('../')) return 'go up with #room/…, never with ../'
  if (target.startsWith('./')) {
    const reached = path.posix.join(path.posix.dirname(file), target)
    return strangers(room, reached, file) && !file.endsWith('/registry.ts') ? 'a sibling' : undefined
  }
  if (target.startsWith('#')) {
    const other = target.slice(1).split('/')[0]!
    if (other === 'core' && room === 'core') {
      return place(target.slice('#core/'.length)) <= place(file.slice('core/'.length))
        ? undefined
        : 'core/ is ordered: see coreOrder'
    }
    if (other === room) return strangers(room, target.slice(1), file) ? 'a sibling' : undefined
    return mayImport[room]?.includes(other) ? undefined : `${room}/ may not import ${other}/`
  }
  const home = packages[/^(?:@[^/]+\/)?[^/]+/.exec(target)![0]]
  if (home === undefined) return 'package is not in the table'
  return file.startsWith(`${home}/`) ? undefined : `only ${home}/ may import this package`
}

/** Files that stand directly in such a room are common ground; its folders do not know each other. */
function strangers(room: string, reached: string, file: string): boolean {
  const inFolder = (name: string) => name.split('/').length > 2
  return kinds.includes(room) && inFolder(reached) && inFolder(file) && unit(reached) !== unit(file)
}

/** `engines/totp/otp.ts` → `engines/totp` */
function unit(file: string): string {
  return file.split('/').slice(0, 2).join('/')
}

/** Where a file of core/ stands in its order; a file of its own counts like a folder. */
function place(file: string): number {
  return coreOrder.indexOf(file.split('/')[0]!.replace(/\.ts$/, ''))
}
