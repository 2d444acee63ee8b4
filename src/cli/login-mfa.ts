/** The second factor of a log-in, where the server asks for one: sys/mfa/validate. */
import type { ClientReply } from '#client/client.ts'
import type { Call } from './command.ts'
import { attempt } from './failure.ts'
import { isObject } from './json.ts'
import { askSecret } from './prompt.ts'
import { toSecret } from './secret.ts'

/**
 * Asks for the passcode, if there is one way to confirm and somebody to ask. Otherwise says how to go on and returns
 * undefined: the reply then tells the ID of the request and of the ways there are.
 */
export async function confirmLogin(
  { session, output, interactive }: Pick<Call, 'session' | 'output' | 'interactive'>,
  reply: ClientReply,
): Promise<ClientReply | undefined> {
  const requirement = toSecret(reply.json).auth?.['mfa_requirement']
  const constraints =
    isObject(requirement) && isObject(requirement['mfa_constraints'])
      ? Object.values(requirement['mfa_constraints'])
      : []
  const methods = constraints.flatMap((each) =>
    isObject(each) && Array.isArray(each['any']) ? each['any'].filter(isObject) : [],
  )
  const [method] = methods
  if (!isObject(requirement) || !method || methods.length > 1 || !interactive || !process.stdin.isTTY) {
    output.warn('A second factor is needed to log in. Send it to sys/mfa/validate, with the IDs below.\n')
    return undefined
  }
  const name = typeof method['name'] === 'string' && method['name'] !== '' ? method['name'] : String(method['type'])
  if (method['uses_passcode'] !== true) output.warn(`Confirm the log-in by ${name}…`)
  const payload = method['uses_passcode'] === true ? [await askSecret(`Passcode of ${name}`, interactive)] : []
  const body = { mfa_request_id: requirement['mfa_request_id'], mfa_payload: { [String(method['id'])]: payload } }
  return await attempt(
    'Error validating the second factor',
    async () => await session.ask('PUT', 'sys/mfa/validate', { body }),
  )
}
