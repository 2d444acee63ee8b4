/**
 * Disks that take no more, two real ways: a limit on the size of files, which needs no privilege, and, where this process
 * may mount one, a small file system (the error is another one: EFBIG there, ENOSPC here).
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import test, { type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { temporaryFolder } from '#test/storage/folder.ts'
import { startProgram, type Program } from '#test/storage/process.ts'

const program = new URL('full-program.ts', import.meta.url)
/** Longer than a slow machine needs to start a program, open a store and close it. */
const END_MS = 20_000
/** In units of 512 bytes: 8 MiB. Only the soft limit, so that it can be raised again from outside. */
const LIMIT = 'ulimit -S -f 16384'

test('a store at the limit of its files reads on, refuses writes whole, and goes on once there is room', async (context) => {
  const folder = temporaryFolder()
  context.after(folder.remove)
  await fillsAndRecovers(
    context,
    startProgram(program, [path.join(folder.path, 'data')], LIMIT),
    ({ process: { pid } }) => run('prlimit', `--pid=${pid}`, '--fsize=unlimited:'),
  )
})

test('a store whose disk is full can be closed, and all that it acknowledged is there when it is opened again', async (context) => {
  const folder = temporaryFolder()
  context.after(folder.remove)
  const started = startProgram(new URL('full-end-program.ts', import.meta.url), [path.join(folder.path, 'data')])
  context.after(() => started.process.kill('SIGKILL'))
  const late = sleep(END_MS, undefined, { ref: false }).then(() => assert.fail('it does not end'))
  const { code, errors } = await Promise.race([started.ended, late])
  assert.equal(errors, '')
  assert.deepEqual([code, started.lines], [0, ['closed', 'kept']])
})

const disk = smallDisk()
if (disk) {
  test('a store on a full disk reads on, refuses writes whole, and goes on once there is room', async (context) => {
    context.after(disk.remove)
    writeFileSync(path.join(disk.path, 'ballast'), new Uint8Array(16 * 1024 * 1024))
    await fillsAndRecovers(context, startProgram(program, [path.join(disk.path, 'data')]), () =>
      rmSync(path.join(disk.path, 'ballast')),
    )
  })
}

async function fillsAndRecovers(
  context: TestContext,
  started: Program,
  makeRoom: (started: Program) => void,
): Promise<void> {
  context.after(() => started.process.kill('SIGKILL'))
  await started.line('full')
  makeRoom(started)
  started.say('there is room')
  await started.line('recovered')
  assert.equal((await started.ended).code, 0)
}

/** Undefined where this process may not mount. */
function smallDisk(): { path: string; remove: () => void } | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined
  const folder = temporaryFolder()
  const mounted = path.join(folder.path, 'disk')
  mkdirSync(mounted)
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'none', mounted]).status !== 0) {
    folder.remove()
    return undefined
  }
  return {
    path: mounted,
    remove: () => {
      run('umount', '-l', mounted)
      folder.remove()
    },
  }
}

function run(command: string, ...given: string[]): void {
  const { status, stderr, error } = spawnSync(command, given, { encoding: 'utf8' })
  assert.equal(status, 0, `${command}: ${stderr ?? error?.message}`)
}
