/** The machine this process runs on, in the words of gopsutil, which the Vault API uses. What cannot be had is left out. */
import { readFile, statfs } from 'node:fs/promises'
import os from 'node:os'

/** Mounted file systems that are told. */
const MAX_DISKS = 100
const MAX_PROC_BYTES = 1024 * 1024
const DISK_TYPES = /^(?:ext[234]|xfs|btrfs|zfs|overlay|f2fs|vfat|apfs|nfs4?)$/
const FIELDS = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal', 'guest', 'guestNice'] as const
/** Units of /proc/stat in a second, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

export interface HostInfo {
  cpu: Record<string, unknown>[]
  cpu_times: Record<string, unknown>[]
  disk: Record<string, unknown>[]
  host: Record<string, unknown>
  memory: Record<string, unknown>
}

export async function hostInfo(now: Date): Promise<HostInfo> {
  const [stat, mounts, meminfo] = await Promise.all(['/proc/stat', '/proc/mounts', '/proc/meminfo'].map(textOf))
  return {
    cpu: os.cpus().map(({ model, speed }, cpu) => ({ cpu, modelName: model, mhz: speed, cores: 1 })),
    cpu_times: timesOf(stat!),
    disk: await disksOf(mounts!),
    host: {
      hostname: os.hostname(),
      uptime: Math.floor(os.uptime()),
      bootTime: Math.floor(now.getTime() / 1000 - os.uptime()),
      os: os.platform(),
      kernelVersion: os.release(),
      kernelArch: os.machine(),
    },
    memory: memoryOf(meminfo!),
  }
}

/** Empty where there is no such file: another system than Linux. */
async function textOf(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).slice(0, MAX_PROC_BYTES)
  } catch {
    return ''
  }
}

function timesOf(stat: string): Record<string, unknown>[] {
  const lines = stat.split('\n').filter((line) => /^cpu\d+ /.test(line))
  if (lines.length === 0) {
    return os.cpus().map(({ times }, cpu) => ({
      cpu: `cpu${cpu}`,
      user: times.user / 1000,
      nice: times.nice / 1000,
      system: times.sys / 1000,
      idle: times.idle / 1000,
      irq: times.irq / 1000,
    }))
  }
  return lines.map((line) => {
    const [cpu, ...ticks] = line.trim().split(/\s+/)
    return { cpu, ...Object.fromEntries(FIELDS.map((name, at) => [name, Number(ticks[at] ?? 0) / TICKS_PER_SECOND])) }
  })
}

async function disksOf(mounts: string): Promise<Record<string, unknown>[]> {
  const found = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type !== undefined && DISK_TYPES.test(type))
    .slice(0, MAX_DISKS)
  const places =
    found.length > 0 ? found.map(([, path, type]) => ({ path: path!, type: type! })) : [{ path: '/', type: '' }]
  const disks: Record<string, unknown>[] = []
  for (const { path, type } of places) {
    const disk = await diskAt(path, type)
    if (disk) disks.push(disk)
  }
  return disks
}

async function diskAt(path: string, fstype: string): Promise<Record<string, unknown> | undefined> {
  try {
    const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(path)
    const used = (blocks - bfree) * bsize
    const usable = used + bavail * bsize
    return {
      path,
      fstype,
      total: blocks * bsize,
      free: bavail * bsize,
      used,
      usedPercent: usable === 0 ? 0 : (used / usable) * 100,
      inodesTotal: files,
      inodesUsed: files - ffree,
      inodesFree: ffree,
      inodesUsedPercent: files === 0 ? 0 : ((files - ffree) / files) * 100,
    }
  } catch {
    // Not ours to look at.
    return undefined
  }
}

function memoryOf(meminfo: string): Record<string, unknown> {
  const kilobytes = (name: string) => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)
    return match ? Number(match[1]) * 1024 : undefined
  }
  const total = os.totalmem()
  const available = kilobytes('MemAvailable') ?? os.freemem()
  const used = total - available
  const more = { buffers: kilobytes('Buffers'), cached: kilobytes('Cached'), swapTotal: kilobytes('SwapTotal') }
  const known = Object.entries(more).filter(([, value]) => value !== undefined)
  return {
    total,
    available,
    used,
    usedPercent: (used / total) * 100,
    free: kilobytes('MemFree') ?? os.freemem(),
    ...Object.fromEntries(known),
  }
}
