/** `debug`: looks at a server for a while and puts what it saw into one archive, for somebody who helps. */
import { command } from '#cli/command.ts'
import { CommandFailure, EXIT_LOCAL, EXIT_OK, UsageError } from '#cli/failure.ts'
import { gather } from '#cli/debug/gather.ts'
import { allTargets, type Target } from '#cli/debug/targets.ts'
import { writeBundle } from '#cli/debug/bundle.ts'
import { whileTelling } from '#cli/progress.ts'
import { parseDuration } from '#lib/duration.ts'

/** Everything gathered is kept in memory until the end. */
const MAX_DURATION_SECONDS = 3600
const MIN_INTERVAL_SECONDS = 1

export const debug = command({
  usage: '[options]',
  details:
    'Asks a server again and again how it is doing, follows its log meanwhile, and puts all of it into an archive. What the token may not read is left out and told in index.json. Secrets are left out. An interrupt ends it early and keeps what there is.',
  examples: [
    { about: 'For two minutes:', words: 'strongroom debug' },
    {
      about: 'Only some of it, into a folder:',
      words: 'strongroom debug -duration=30s -target=config -target=log -compress=false',
    },
  ],
  flags: {
    compress: { type: 'boolean', default: true, about: 'Make a .tar.gz rather than a folder.' },
    duration: { type: 'duration', about: 'How long to look (2m).' },
    interval: { type: 'duration', about: 'Between two looks (30s).' },
    'metrics-interval': { type: 'duration', about: 'Between two looks at the metrics (10s).' },
    output: { type: 'string', about: 'Name of the archive or folder. The default has the time in it.' },
    target: {
      type: 'list',
      aliases: ['targets'],
      about: `What to look at: ${allTargets.join(', ')}. May be given several times.`,
    },
  },
  output: 'none',
  arguments: { min: 0, max: 0 },
  async run({ flags, session, output }) {
    const startedAt = new Date()
    const plan = {
      durationSeconds: seconds('duration', flags.duration ?? '2m', 0),
      intervalSeconds: seconds('interval', flags.interval ?? '30s', MIN_INTERVAL_SECONDS),
      metricsIntervalSeconds: seconds('metrics-interval', flags['metrics-interval'] ?? '10s', MIN_INTERVAL_SECONDS),
      targets: targetsOf(flags.target),
    }
    const name = flags.output ?? `strongroom-debug-${startedAt.toISOString().slice(0, 19).replaceAll(':', '-')}Z`
    output.line(`==> Looking at ${session.address} for ${plan.durationSeconds}s: ${plan.targets.join(', ')}`)
    const stop = new AbortController()
    const interrupt = () => stop.abort()
    process.once('SIGINT', interrupt)
    try {
      const files = await whileTelling(
        () => `Looking, for ${plan.durationSeconds} s; an interrupt ends it early`,
        async () => await gather(session, plan, startedAt, stop.signal),
      )
      const place = await writeBundle(name, files, { compress: flags.compress, at: startedAt })
      output.line(`Success! The bundle is ${place}`)
      return EXIT_OK
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST')
        throw new CommandFailure(`${name} is there already`, EXIT_LOCAL)
      throw error
    } finally {
      process.off('SIGINT', interrupt)
    }
  },
})

function seconds(flag: string, text: string, least: number): number {
  const parsed = parseDuration(text)
  if (parsed === undefined || parsed < least || parsed > MAX_DURATION_SECONDS) {
    throw new UsageError(`-${flag} is from ${least}s to ${MAX_DURATION_SECONDS}s, not "${text}"`)
  }
  return parsed
}

function targetsOf(given: readonly string[]): Target[] {
  const words = given.flatMap((each) => each.split(',')).map((each) => each.trim())
  const unknown = words.find((each) => !allTargets.some((target) => target === each))
  if (unknown !== undefined) throw new UsageError(`no target "${unknown}": use ${allTargets.join(', ')}`)
  return words.length === 0 ? [...allTargets] : allTargets.filter((each) => words.includes(each))
}
