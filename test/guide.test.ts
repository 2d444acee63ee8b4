/**
 * The operator's guide, run word by word in one shell. What differs from a machine of its own: folders lie below a temporary
 * one, the port is a free one, the user is one that every machine has, and `systemctl` is a script that does what the unit
 * says: it runs ExecStart with the unit's environment as the unit's user.
 */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import test from 'node:test'
import { freePort } from '#test/port.ts'

const guide = readFileSync('docs/operator-guide.md', 'utf8')
const steps = [...guide.matchAll(/<!-- run(: refused|: may warn)? -->\n```sh\n(.*?)```/gs)].map(([, kind, script]) => ({
  expected: { ': refused': '-ne 0', ': may warn': '-ne 1' }[kind ?? ''] ?? '-eq 0',
  script: script!,
}))

/** Only root can be somebody else; others stay who they are. */
const isRoot = process.getuid!() === 0
const user = isRoot ? 'daemon' : String(process.getuid!())
const group = isRoot ? 'daemon' : String(process.getgid!())

const FOLDERS = /\/(?:opt|etc|var\/lib|var\/log|var\/cache|var\/backups)\/strongroom|\/etc\/systemd\/system|\/root\//g

function adapted(text: string, root: string, port: number): string {
  return text
    .replaceAll(FOLDERS, `${root}$&`)
    .replaceAll(':8200', `:${port}`)
    .replaceAll(/^useradd .*$/gm, ':')
    .replaceAll(/-o (?:root|strongroom) -g strongroom/g, `-o ${user} -g ${group}`)
    .replaceAll(/chown root:strongroom/g, `chown ${user}:${group}`)
    .replaceAll('runuser -u strongroom --', isRoot ? `runuser -u ${user} --` : '')
    .replaceAll('User=strongroom', `User=${user}`)
    .replaceAll('Group=strongroom', `Group=${group}`)
}

/** `systemctl` for one unit. Its processes are groups of their own, so that nothing of them stays. */
const systemctl = (root: string) => `#!/bin/bash
unit=${root}/etc/systemd/system/strongroom.service
value() { sed -n "s/^$1=//p" "$unit" | tail -n 1; }
case "$1" in
  daemon-reload) ;;
  enable | start)
    install -d -m 700 -o ${user} -g ${group} ${root}/var/cache/strongroom
    cd / && umask "$(value UMask)"
    ${isRoot ? 'setsid runuser -u "$(value User)" --' : 'setsid'} env -i PATH=/usr/bin:/bin "$(value Environment)" \\
      $(value ExecStart) >> ${root}/journal 2>&1 < /dev/null &
    echo $! > ${root}/pid ;;
  stop) pid=$(pgrep -s "$(cat ${root}/pid)" -f src/main.ts) && kill "$pid" && while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done ;;
  reload) kill -HUP "$(pgrep -s "$(cat ${root}/pid)" -f src/main.ts)" ;;
  *) echo "systemctl $1?" >&2; exit 1 ;;
esac
`

test('the guide works by its words alone', { timeout: 280_000 }, async () => {
  assert.ok(steps.length >= 17)
  assert.equal(steps.length, guide.match(/^```sh$/gm)!.length, 'every block is run')
  const root = mkdtempSync(path.join(tmpdir(), 'strongroom-guide-'))
  chmodSync(root, 0o755)
  const port = await freePort()
  for (const name of [
    'opt',
    'etc/systemd/system',
    'var/lib',
    'var/log',
    'var/cache',
    'var/backups',
    'root',
    'shims',
    'checkout',
  ])
    mkdirSync(path.join(root, name), { recursive: true })
  for (const name of ['bin', 'src', 'docs', 'package.json', 'package-lock.json'])
    cpSync(name, path.join(root, 'checkout', name), { recursive: true })
  writeFileSync(path.join(root, 'shims/systemctl'), systemctl(root), { mode: 0o755 })
  try {
    const script = steps.map(
      ({ expected, script: text }, at) =>
        `${adapted(text, root, port)}\nstatus=$?; [ $status ${expected} ] || { echo "STEP ${at + 1} ended with $status"; exit 1; }; echo '=== step'`,
    )
    const { stdout, output, code } = await runShell(script.join('\n'), root)
    const journal = readJournal(root)
    assert.equal(code, 0, `${output}\n${journal}`)
    const said = stdout.split('=== step\n')
    const after = (words: string) => said[steps.findIndex((step) => step.script.includes(words))]!
    assert.match(after('operator diagnose'), /^\[(?: ok |warn)\] Configuration$/m)
    assert.doesNotMatch(after('operator diagnose'), /\[fail\]/)
    assert.match(after('unseal < /root/share-1'), /Sealed\s+false/)
    assert.match(after('audit list'), /^file\/\s+file/m)
    assert.equal(after('secret_id=@/root/secret-id'), 'opensesame')
    assert.match(output, /permission denied/)
    assert.match(after('token revoke -self'), /password\s+opensesame/)
    assert.match(after('operator backup'), /Success! Backup made in .*\nSuccess! The backup .* is whole/)
    assert.match(after('mv /var/lib/strongroom'), /opensesame$/)
    assert.match(after('operator rekey -verify <'), /The new keys are valid from now on, and the old ones are not/)
    assert.match(after('operator generate-root -decode'), /Rotated key[^]*Key Term +2/)
    assert.match(journal, /SIGHUP: certificates and audit files are open anew/)
    assert.match(journal, /SIGTERM: finishing/)
    assert.doesNotMatch(journal, /opensesame|has no effect|unknown key/)
    checkUnit(root)
  } finally {
    const pid = readPid(root)
    if (pid !== undefined) spawnSync('pkill', ['-KILL', '-s', pid])
    rmSync(root, { recursive: true, force: true })
  }
})

async function runShell(script: string, root: string) {
  const shell = spawn('bash', ['-c', script], {
    cwd: path.join(root, 'checkout'),
    env: {
      PATH: `${path.join(root, 'shims')}:${process.env['PATH']}`,
      HOME: path.join(root, 'root'),
      // What npm fetched for this checkout is not fetched again.
      npm_config_prefer_offline: 'true',
      npm_config_cache: spawnSync('npm', ['config', 'get', 'cache'], { encoding: 'utf8' }).stdout.trim(),
      npm_config_update_notifier: 'false',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, output] = ['', '']
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    output += text
  })
  shell.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(shell, 'close')) as [number | null]
  return { stdout, output, code }
}

function readJournal(root: string): string {
  try {
    return readFileSync(path.join(root, 'journal'), 'utf8')
  } catch {
    return 'no journal: the service was never started'
  }
}

function readPid(root: string): string | undefined {
  try {
    return readFileSync(path.join(root, 'pid'), 'utf8').trim()
  } catch {
    return undefined
  }
}

/** By systemd's own tools, where they are installed; they need no systemd to run. */
function checkUnit(root: string): void {
  const unit = path.join(root, 'etc/systemd/system/strongroom.service')
  const verify = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' })
  if (verify.error) return
  assert.doesNotMatch(verify.stderr, /strongroom\.service/)
  const security = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', unit], {
    encoding: 'utf8',
  })
  const [, level] = /Overall exposure level for strongroom\.service: ([\d.]+)/.exec(security.stdout) ?? []
  assert.ok(Number(level) < 2.5, `systemd judges the unit with ${level}`)
}
