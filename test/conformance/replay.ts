/**
 * Replays recorded exchanges between clients and a server of this API against a real server, and says where the answers
 * differ: in status, in shape (names, types, null against missing), in warnings and error texts.
 *
 * test/data/exchanges.jsonl.gz, one exchange a line. `session`: exchanges of one session went to one server, which began
 * uninitialised. `{{n}}` in a request or a name stands for what an earlier answer of the session said at `capture`.
 * A shape has the names of the answer; '' is a text, 1 a number, true a boolean, null null, a list the shapes of its elements.
 */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { type Answer, sendTo, startServer, type TestServer } from '#test/server.ts'

export interface Exchange {
  case: string
  session: number
  method: string
  path: string
  headers?: Record<string, string>
  token?: string
  body?: string
  status: number
  shape?: unknown
  errors?: string[]
  warnings?: string[]
  /** The answer was text, not JSON. */
  text?: boolean
  /** Where in the answer → number of the placeholder. */
  capture?: Record<string, number>
}

export interface CaseResult {
  name: string
  area: string
  exchanges: number
  differences: string[]
}

export function loadExchanges(): Exchange[] {
  const text = gunzipSync(readFileSync('test/data/exchanges.jsonl.gz')).toString('utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Exchange)
}

/** @param areas  only these; all if undefined */
export async function replay(exchanges: readonly Exchange[], areas?: readonly string[]): Promise<CaseResult[]> {
  const results = new Map<string, CaseResult>()
  const sessions = Map.groupBy(exchanges, (each) => each.session)
  for (const session of sessions.values()) {
    const wanted = areas === undefined || session.some((each) => areas.includes(areaOf(each)))
    if (wanted) await replaySession(session, results)
  }
  return [...results.values()].filter((result) => areas === undefined || areas.includes(result.area))
}

const areaOf = (exchange: Exchange) => exchange.case.split('/')[0]!

/** Areas whose cases took less than a second when they were recorded, which shows in the answers: the clock stands still. */
const still = ['pki']

async function replaySession(session: readonly Exchange[], results: Map<string, CaseResult>): Promise<void> {
  const isStill = session.every((each) => still.includes(areaOf(each)))
  await using server = await startServer({ ready: false, ...(isStill && { at: new Date().toISOString() }) })
  const captured = new Map<number, string>()
  for (const exchange of session) {
    const result = results.get(exchange.case) ?? {
      name: exchange.case,
      area: areaOf(exchange),
      exchanges: 0,
      differences: [],
    }
    results.set(exchange.case, result)
    result.exchanges += 1
    const answer = await repeat(server, exchange, captured)
    const fill = (text: string) => filled(text, captured)
    for (const [place, number] of Object.entries(exchange.capture ?? {})) {
      const value = at(answer.body, place)
      if (typeof value === 'string') captured.set(number, value)
    }
    for (const difference of compare(exchange, answer, fill)) {
      result.differences.push(`${exchange.method} ${exchange.path}: ${difference}`)
    }
  }
}

function repeat(server: TestServer, exchange: Exchange, captured: Map<number, string>): Promise<Answer> {
  const fill = (text: string) => filled(text, captured)
  const headers = Object.fromEntries(
    Object.entries(exchange.headers ?? {}).map(([name, value]) => [name.toLowerCase(), fill(value)]),
  )
  if (exchange.token !== undefined) headers['x-vault-token'] = fill(exchange.token)
  const body = exchange.body === undefined ? undefined : fill(exchange.body)
  return sendTo(server.port, exchange.method, encodeURI(decodeURI(fill(exchange.path))), body, headers)
}

function filled(text: string, captured: Map<number, string>): string {
  return text.replaceAll(/\{\{(\d+)\}\}/g, (whole, number: string) => captured.get(Number(number)) ?? whole)
}

function at(value: any, place: string): unknown {
  return place.split('/').reduce((inner, name) => inner?.[name.replaceAll('~1', '/')], value)
}

function compare(exchange: Exchange, answer: Answer, fill: (text: string) => string): string[] {
  const differences: string[] = []
  if (answer.status !== exchange.status) {
    return [
      `status ${answer.status}, recorded ${exchange.status}${answer.status >= 400 ? ` (${answer.text.trim().slice(0, 200)})` : ''}`,
    ]
  }
  if (exchange.text) return answer.body === undefined ? [] : ['answered JSON where text was recorded']
  if (exchange.shape !== undefined) differences.push(...compareShape(exchange.shape, answer.body, '', fill))
  else if (answer.text !== '' && exchange.method !== 'HEAD')
    differences.push(`a body where none was recorded: ${answer.text.slice(0, 100)}`)
  for (const name of ['errors', 'warnings'] as const) {
    const wanted = (exchange[name] ?? []).map(fill).map(neutral)
    const given = ((answer.body?.[name] ?? []) as string[]).map(neutral)
    if (JSON.stringify(wanted) !== JSON.stringify(given)) {
      differences.push(`${name} ${JSON.stringify(given)}, recorded ${JSON.stringify(wanted)}`)
    }
  }
  return differences
}

/** The name of the server that was recorded is not ours. */
function neutral(text: string): string {
  return text.replaceAll(/OpenBao|Strongroom|Vault/g, '…')
}

function compareShape(shape: unknown, value: unknown, place: string, fill: (text: string) => string): string[] {
  const kind = kindOf(shape)
  if (kind !== kindOf(value)) return [`${place || 'answer'} is ${kindOf(value)}, recorded ${kind}`]
  if (kind === 'list') {
    const shapes = shape as unknown[]
    const elements = value as unknown[]
    if ((shapes.length === 0) !== (elements.length === 0))
      return [`${place} has ${elements.length} elements, recorded ${shapes.length === 0 ? 'none' : 'some'}`]
    return elements.flatMap((element, index) => {
      const fits = shapes.some((each) => compareShape(each, element, place, fill).length === 0)
      return fits ? [] : [`${place}[${index}] fits no recorded element`]
    })
  }
  if (kind !== 'object') return []
  const wanted = new Map(Object.entries(shape as object).map(([name, inner]) => [fill(name), inner]))
  const given = value as Record<string, unknown>
  const differences: string[] = []
  for (const [name, inner] of wanted) {
    if (!Object.hasOwn(given, name)) differences.push(`${place}.${name} is missing`)
    else differences.push(...compareShape(inner, given[name], `${place}.${name}`, fill))
  }
  for (const name of Object.keys(given)) if (!wanted.has(name)) differences.push(`${place}.${name} was not recorded`)
  return differences
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'list' : typeof value
}
