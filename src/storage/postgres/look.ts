/** A look at the database for a diagnosis: connects and reads, and makes nothing. */
import { namesOf, readSchema } from './schema.ts'
import { Session } from './session.ts'
import { settingsOf } from './settings.ts'

/** @throws ApiError with what is wrong; what it says holds no password */
export async function look(options: Readonly<Record<string, string>>): Promise<string> {
  const settings = settingsOf(options, process.env)
  const session = await Session.open(settings.place, settings.limitMs)
  try {
    const schema = await readSchema(session, namesOf(settings.table), settings.limitMs)
    return schema === 0
      ? 'the database answers; the server makes its tables'
      : 'the database answers, the tables are there'
  } finally {
    session.cut()
  }
}
