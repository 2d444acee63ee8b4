/**
 * Variables of the environment: `STRONGROOM_…` first, then `BAO_…` and `VAULT_…`, so that scripts made for those work
 * unchanged. An empty variable counts as none.
 */
export const PREFIXES = ['STRONGROOM', 'BAO', 'VAULT'] as const

export function variable(name: string): string | undefined {
  const full = variableName(name)
  return full === undefined ? undefined : process.env[full]
}

/** Full name of the variable that decides, for messages. */
export function variableName(name: string): string | undefined {
  return PREFIXES.map((prefix) => `${prefix}_${name}`).find((full) => (process.env[full] ?? '') !== '')
}

/** Whether a switch is on; what cannot be read as a boolean is an error rather than a guess. */
export function switchVariable(name: string): boolean {
  const text = variable(name)
  if (text === undefined || /^(0|f|false)$/i.test(text)) return false
  if (/^(1|t|true)$/i.test(text)) return true
  throw new Error(`${variableName(name)} must be true or false, not "${text}"`)
}
