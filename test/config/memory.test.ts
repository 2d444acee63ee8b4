/** What keeps a server's memory from being read afterwards, or by others. */
import assert from 'node:assert/strict'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import test from 'node:test'
import { coreNotice, exposedSwap, memoryNotice, refuseWatchers, swapState } from '#boot/memory.ts'
import { freePort } from '#test/port.ts'
import { sendTo } from '#test/server.ts'
import { refusalOf, run, startConfigured, tcp } from './configured.ts'
import { Program, startKept, temporaryFolder } from './program.ts'

test('a server leaves no core dump, its memory would not be in one, and the log says how memory is kept', async () => {
  await using folder = await temporaryFolder()
  await using server = await startConfigured(folder.path, `storage "inmem" {}\n${tcp(await freePort())}`)
  await using kept = await startKept(path.join(folder.path, 'data'))
  for (const { pid } of [server, kept.program]) {
    assert.match(await readFile(`/proc/${pid}/limits`, 'utf8'), /^Max core file size +0 +0 /m)
    assert.equal((await readFile(`/proc/${pid}/coredump_filter`, 'utf8')).trim(), '00000000')
  }
  assert.match(server.output, /memory is not locked \(Node has no mlock\)/)
  assert.doesNotMatch(server.output, /core dumps are on/)
})

test('SIGUSR1 opens no debugger, and ends nothing', async () => {
  await using folder = await temporaryFolder()
  await using server = await startKept(path.join(folder.path, 'data'))
  server.program.signal('SIGUSR1')
  for (let round = 0; round < 20; round += 1) {
    assert.equal((await sendTo(server.port, 'GET', 'sys/health', undefined, {})).status, 200)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.doesNotMatch(server.program.output, /Debugger listening/)
  const inode = (await readFile('/proc/net/tcp', 'utf8')).split('\n').filter((line) => / 0100007F:240D /.test(line))
  // 9229 in hexadecimal: whoever else listens there, it is not this one.
  if (inode.length === 0) {
    const socket = connect(9229, '127.0.0.1')
    await assert.rejects(new Promise((resolve, reject) => socket.on('connect', resolve).on('error', reject)))
  }
})

test('a server does not start with a debugger, snapshots of its heap or reports', async () => {
  await using folder = await temporaryFolder()
  for (const options of [
    '--inspect=127.0.0.1:0',
    '--heapsnapshot-signal=SIGUSR2',
    '--report-on-signal',
    '--max-http-header-size=9000 --heapsnapshot-near-heap-limit=2',
  ]) {
    const config = `storage "inmem" {}\n${tcp(await freePort())}`
    for (const program of [
      await run(folder.path, config, { NODE_OPTIONS: options }),
      new Program(['start', `-data=${path.join(folder.path, 'd')}`], { env: { NODE_OPTIONS: options } }),
    ]) {
      const { code, output } = await refusalOf(program)
      assert.equal(code, 1)
      assert.match(output, /strongroom: Node was started with --(?:inspect|heapsnapshot|report)/, options)
    }
  }
  refuseWatchers(['--max-semi-space-size=16', '--disable-sigusr1'], '--max-old-space-size=4096')
})

test('OpenSSL has a locked heap when that is asked for, and a size that cannot be is refused', async () => {
  await using folder = await temporaryFolder()
  const config = `storage "inmem" {}\n${tcp(await freePort())}`
  await using server = await startConfigured(folder.path, config, { STRONGROOM_SECURE_HEAP: '1048576' })
  assert.match(await readFile(`/proc/${server.pid}/cmdline`, 'utf8'), /\0--secure-heap=1048576\0/)
  await using _bad = await run(folder.path, config, { STRONGROOM_SECURE_HEAP: '1000' })
  assert.notEqual((await _bad.ended()).code, 0)
  assert.match(_bad.output, /--secure-heap must be a power of 2/)
})

test('swap is told apart: none, encrypted, in memory, forbidden to this service, or in the way', async () => {
  await using folder = await temporaryFolder()
  const at = (...names: string[]) => path.join(folder.path, ...names)
  const put = async (name: string, text: string) => {
    await mkdir(path.dirname(at(name)), { recursive: true })
    await writeFile(at(name), text)
  }
  const head = 'Filename Type Size Used Priority\n'
  assert.equal(
    memoryNotice(swapState(at('none'))),
    'memory is not locked (Node has no mlock): keep swap off or encrypted',
  )
  await put('proc/swaps', head)
  assert.match(memoryNotice(swapState(folder.path)), /need not be: there is no swap/)
  await put('dev/dm-0', '')
  await put('dev/zram0', '')
  await mkdir(at('dev/mapper'))
  await symlink('../dm-0', at('dev/mapper/swap'))
  await put('sys/block/dm-0/dm/uuid', 'CRYPT-LUKS2-0123-swap\n')
  await put('proc/swaps', `${head}/dev/mapper/swap partition 1 0 -2\n/dev/zram0 partition 1 0 100\n`)
  assert.deepEqual(exposedSwap(swapState(folder.path)), [])
  await put('sys/block/dm-0/dm/uuid', 'LVM-0123\n')
  assert.deepEqual(exposedSwap(swapState(folder.path)), ['/dev/mapper/swap'])
  await put('proc/swaps', `${head}/swapfile file 1 0 -2\n`)
  assert.match(memoryNotice(swapState(folder.path)), /swap is on and not encrypted \(\/swapfile\).*swapoff -a/)
  await put('proc/self/cgroup', '0::/system.slice/strongroom.service\n')
  await put('sys/fs/cgroup/system.slice/strongroom.service/memory.swap.max', 'max\n')
  assert.deepEqual(exposedSwap(swapState(folder.path)), ['/swapfile'])
  await put('sys/fs/cgroup/system.slice/strongroom.service/memory.swap.max', '0\n')
  assert.match(memoryNotice(swapState(folder.path)), /this service may not swap/)
})

test('core dumps that are on are told', () => {
  assert.match(coreNotice({ softBytes: undefined })!, /core dumps are on/)
  assert.equal(coreNotice({ softBytes: 0 }), undefined)
})
