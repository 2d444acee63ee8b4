/** What somebody at a terminal sees of work that takes long, and that nobody else sees anything of it. */
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { startProgram } from '#test/program.ts'
import { startWorkplace, type Workplace } from './harness.ts'

let place: Workplace

before(async () => {
  place = await startWorkplace()
  // Runs words on a terminal of its own and prints what came there; a third word is done to what the command starts.
  await writeFile(
    join(place.directory, 'terminal.py'),
    `import os, pty, select, signal, subprocess, sys, time
stop, words = sys.argv[1], sys.argv[2:]
pid, fd = pty.fork()
if pid == 0: os.execvp(words[0], words)
stopped, text, end = None, b'', time.time() + 60
while time.time() < end:
    if stop and not stopped:
        found = subprocess.run(['pgrep', '-P', str(pid), '-f', stop], capture_output=True, text=True).stdout.split()
        if found:
            stopped = int(found[0]), time.time() + 4
            os.kill(stopped[0], signal.SIGSTOP)
    if stopped and stopped[1] and time.time() > stopped[1]:
        os.kill(stopped[0], signal.SIGCONT)
        stopped = stopped[0], 0
    if select.select([fd], [], [], 0.02)[0]:
        try: part = os.read(fd, 4096)
        except OSError: break
        if not part: break
        text += part
sys.stdout.buffer.write(text.replace(b'\\r\\x1b[K', b'<clear>').replace(b'\\x1b', b'<escape>'))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`,
  )
})
after(async () => {
  await place[Symbol.asyncDispose]()
})

/** A slow way to the server: what it answers arrives later. */
async function slowly(delayMs: number) {
  const target = new URL(place.address)
  const relay = createServer((socket) => {
    const upstream = connect(Number(target.port), target.hostname)
    socket.pipe(upstream)
    upstream.on('data', (bytes) => setTimeout(() => socket.write(bytes), delayMs))
    for (const each of [socket, upstream]) each.on('error', () => {})
    upstream.on('close', () => setTimeout(() => socket.end(), delayMs))
  })
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(relay.address() as AddressInfo).port}`
  return { env: { STRONGROOM_ADDR: address, TERM: 'xterm', NO_COLOR: '1' }, address, close: () => relay.close() }
}

test('on a terminal a request that takes long is told, with its seconds, and the line goes away', async () => {
  const slow = await slowly(3500)
  try {
    await place.sh('strongroom secrets enable -path=much kv')
    const { stdout, code } = await place.sh("python3 terminal.py '' strongroom secrets disable much", { env: slow.env })
    assert.equal(code, 0, stdout)
    assert.ok(stdout.includes(`<clear>Waiting for ${slow.address} to answer … 2 s`), stdout)
    assert.ok(stdout.includes(' … 3 s'), stdout)
    assert.match(stdout, /<clear>Success! Disabled the secrets engine[^<]*\r\n$/)
  } finally {
    slow.close()
  }
})

test('a search tells the page it is at and what it has found', async () => {
  const slow = await slowly(2600)
  try {
    await place.sh('strongroom kv put secret/app/database a=b')
    const { stdout, code } = await place.sh("python3 terminal.py '' strongroom kv search secret/ database", {
      env: slow.env,
    })
    assert.equal(code, 0, stdout)
    assert.ok(stdout.includes('Looking through secret/search: page 1, 0 found … 2 s'), stdout)
    assert.match(stdout, /app\/database/)
  } finally {
    slow.close()
  }
})

test('neither a pipe, nor a dumb terminal, nor quick work is told anything', async () => {
  const slow = await slowly(2600)
  try {
    const piped = await place.sh('strongroom kv get secret/app/database', { env: slow.env })
    assert.deepEqual([piped.code, piped.stderr], [0, ''])
    const dumb = await place.sh("python3 terminal.py '' strongroom kv get secret/app/database", {
      env: { ...slow.env, TERM: 'dumb' },
    })
    assert.doesNotMatch(dumb.stdout, /Waiting|<clear>|<escape>/)
    const quick = await place.sh("python3 terminal.py '' strongroom kv get secret/app/database", {
      env: { TERM: 'xterm', NO_COLOR: '1' },
    })
    assert.doesNotMatch(quick.stdout, /Waiting|<clear>|<escape>/)
  } finally {
    slow.close()
  }
})

test('a backup that takes long tells what it is at, then what came of it', async () => {
  const program = await startProgram()
  try {
    const words = `strongroom operator backup -data=${program.folder} -to=$PWD/backup`
    const env = { TERM: 'xterm', NO_COLOR: '1' }
    const made = await place.sh(`python3 terminal.py operator-backup ${words}`, { env })
    assert.equal(made.code, 0, made.stdout)
    assert.match(made.stdout, /<clear>(Beginning|Copying|Checking|Writing)[^<]* … 2 s/)
    assert.match(made.stdout, /<clear>Success! Backup made in [^<]*\r\n$/)
    const again = await place.sh(`python3 terminal.py '' ${words}`, { env })
    assert.equal(again.code, 1)
    assert.match(again.stdout, /^strongroom: .* is there already/)
    const checked = await place.sh('strongroom operator restore -check -from=$PWD/backup')
    assert.deepEqual([checked.code, checked.stderr], [0, ''])
  } finally {
    await program.stop()
  }
})
