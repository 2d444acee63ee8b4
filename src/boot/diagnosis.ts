/** What a diagnosis is made of, and how it is printed. Pure. */

export type Status = 'ok' | 'warn' | 'fail' | 'skip'

export interface Finding {
  name: string
  status: Status
  message: string
  /** One line: how to mend it. */
  advice?: string
}

export interface Chapter {
  name: string
  findings: Finding[]
  /** How long it took. */
  tookMs: number
}

export const ok = (name: string, message: string): Finding => ({ name, status: 'ok', message })
export const skip = (name: string, message: string): Finding => ({ name, status: 'skip', message })
export const warn = (name: string, message: string, advice: string): Finding => ({
  name,
  status: 'warn',
  message,
  advice,
})
export const fail = (name: string, message: string, advice: string): Finding => ({
  name,
  status: 'fail',
  message,
  advice,
})

const order: readonly Status[] = ['skip', 'ok', 'warn', 'fail']

/** The gravest; a failure within counts for the whole. */
export function worst(statuses: readonly Status[]): Status {
  return order[Math.max(0, ...statuses.map((status) => order.indexOf(status)))]!
}

export function statusOf(chapters: readonly Chapter[]): Status {
  return worst(chapters.map(({ findings }) => worst(findings.map(({ status }) => status))))
}

/** As the Vault CLI has it: 1 for a failure, 2 for warnings. */
export function exitCode(chapters: readonly Chapter[]): number {
  return { fail: 1, warn: 2, ok: 0, skip: 0 }[statusOf(chapters)]
}

const marks: Record<Status, string> = { ok: '[ ok ]', warn: '[warn]', fail: '[fail]', skip: '[skip]' }

export function asText(chapters: readonly Chapter[], debug: boolean): string {
  const lines = chapters.flatMap(({ name, findings, tookMs }) => [
    `${marks[worst(findings.map(({ status }) => status))]} ${name}${debug ? ` (${Math.round(tookMs)} ms)` : ''}`,
    ...findings.flatMap((finding) => [
      `  ${marks[finding.status]} ${finding.name}: ${finding.message}`,
      ...(finding.advice === undefined ? [] : [`         ${finding.advice}`]),
    ]),
  ])
  return `${lines.join('\n')}\n`
}

/** Nested as the Vault CLI prints it. */
export function asJson(chapters: readonly Chapter[]): unknown {
  return {
    name: 'Strongroom Diagnose',
    status: statusOf(chapters),
    children: chapters.map(({ name, findings }) => ({
      name,
      status: worst(findings.map(({ status }) => status)),
      children: findings,
    })),
  }
}
