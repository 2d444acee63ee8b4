/** `sys/loggers` and `sys/monitor`: how much the server's log tells, and the log itself. */
import { type LogLevel, parseLogLevel } from '#lib/log-level.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Fields } from '#sdk/schema.ts'

/** What the composition root lends to these paths. */
export interface LogServices {
  serverLog: {
    levels(): Record<string, LogLevel>
    setLevel(level: LogLevel, name?: string): boolean
    reset(name?: string): boolean
    stream(level: LogLevel, format: 'standard' | 'json' | undefined): AsyncIterable<string> | undefined
  }
}

const noFields = {} satisfies Fields
const name = { type: 'string', about: 'Name of the logger.', required: true } as const
const level = { type: 'string', about: 'trace, debug, info, warn or error.' } as const
const monitorFields = {
  log_level: { type: 'string', about: 'From which level on.', default: 'info', query: true },
  log_format: { type: 'string', about: '`standard` or `json`; else as the server writes it.', query: true },
} satisfies Fields

export function loggingPaths({ serverLog }: LogServices): Path[] {
  return [
    {
      pattern: 'loggers',
      operations: {
        read: endpoint('The level of every logger.', noFields, async () => ({ data: serverLog.levels() })),
        update: endpoint('Set the level of all loggers, until the server ends.', { level }, async ({ data }) => {
          serverLog.setLevel(levelOf(data.level))
          return {}
        }),
        delete: endpoint('All loggers as the configuration says.', noFields, async () => {
          serverLog.reset()
          return {}
        }),
      },
    },
    {
      pattern: 'loggers/:name',
      operations: {
        read: endpoint('The level of a logger.', { name }, async ({ data }) => {
          const levels = serverLog.levels()
          if (!Object.hasOwn(levels, data.name)) throw unknown(data.name)
          return { data: { [data.name]: levels[data.name] } }
        }),
        update: endpoint('Set the level of a logger, until the server ends.', { name, level }, async ({ data }) => {
          if (!serverLog.setLevel(levelOf(data.level), data.name)) throw unknown(data.name)
          return {}
        }),
        delete: endpoint('A logger as the configuration says.', { name }, async ({ data }) => {
          if (!serverLog.reset(data.name)) throw unknown(data.name)
          return {}
        }),
      },
    },
    {
      pattern: 'monitor',
      operations: {
        read: endpoint('The log of the server as it is written, without end.', monitorFields, (call) =>
          monitor(serverLog, call),
        ),
      },
    },
  ]
}

function levelOf(text: string | undefined): LogLevel {
  if (text === undefined || text === '') throw new ApiError('invalid_request', 'level is required')
  const parsed = parseLogLevel(text)
  if (!parsed) throw new ApiError('invalid_request', `invalid level provided: ${text}`)
  return parsed
}

function unknown(given: string): ApiError {
  return new ApiError('invalid_request', `logger ${JSON.stringify(given)} not found`)
}

async function monitor(log: LogServices['serverLog'], { data }: Call<typeof monitorFields>): Promise<Reply> {
  const from = parseLogLevel(data.log_level || 'info')
  if (!from) throw new ApiError('invalid_request', 'unknown log level')
  const format = data.log_format || undefined
  if (format !== undefined && format !== 'standard' && format !== 'json') {
    throw new ApiError('invalid_request', 'unknown log format')
  }
  const stream = log.stream(from, format)
  if (!stream) throw new ApiError('too_many_requests', 'the log is being followed by too many already')
  return { raw: { contentType: 'text/plain; charset=utf-8', body: '', stream } }
}
