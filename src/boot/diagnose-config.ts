/** Files of the configuration: who may change and read them, and what stands in them. */
import { statSync } from 'node:fs'
import path from 'node:path'
import { filesAt, readConfig, type ServerConfig } from './config.ts'
import { fail, type Finding, ok, warn } from './diagnosis.ts'

const WRITABLE_BY_OTHERS = 0o022
const READABLE_BY_OTHERS = 0o004
const STICKY = 0o1000

/** @returns with the configuration, if it can be used at all */
export function diagnoseConfig(places: readonly string[]): { findings: Finding[]; config?: ServerConfig } {
  let config: ServerConfig
  try {
    config = readConfig(places)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { findings: [fail('Parse', message, 'Mend that place and run this again.')] }
  }
  const findings = [ok('Parse', `${places.join(', ')} can be used`)]
  for (const notice of config.notices) {
    findings.push(warn('Keys', notice, 'Check its spelling, or take it out: it does nothing.'))
  }
  for (const place of places.flatMap(filesAt)) findings.push(...permissions(place, config))
  return { findings, config }
}

function permissions(place: string, config: ServerConfig): Finding[] {
  const { mode, uid } = statSync(place)
  const octal = (mode & 0o777).toString(8)
  if (process.platform === 'win32') return []
  if (mode & WRITABLE_BY_OTHERS && !(mode & STICKY)) {
    return [fail('Permissions', `others may write to ${place} (mode ${octal})`, `chmod go-w ${place}`)]
  }
  const folder = path.dirname(path.resolve(place))
  const parent = statSync(folder)
  if (parent.mode & 0o002 && !(parent.mode & STICKY)) {
    return [fail('Permissions', `others may replace files in ${folder}`, `chmod o-w ${folder}`)]
  }
  const own = process.getuid?.()
  if (uid !== 0 && own !== undefined && uid !== own) {
    return [
      warn('Permissions', `${place} belongs to user ${uid}`, 'It should belong to root or to the user of the server.'),
    ]
  }
  // A key in clear text, or the way to one.
  if (mode & READABLE_BY_OTHERS && config.seal && config.seal.type !== 'shamir') {
    return [
      warn('Permissions', `everybody may read ${place}, which has a seal in it (mode ${octal})`, `chmod o-r ${place}`),
    ]
  }
  return [ok('Permissions', `${place} has mode ${octal}`)]
}
