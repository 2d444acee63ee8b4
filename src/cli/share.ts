/** Giving a share of the server's keys, together with the nonce that says what it is meant for. */
import type { ClientReply } from '#client/client.ts'
import { CommandFailure, EXIT_LOCAL } from './failure.ts'
import { isObject } from './json.ts'
import { complain } from './output.ts'
import { askSecret } from './prompt.ts'

export interface Given {
  key: string
  nonce: string
}

/**
 * @param argument  the key itself, `-` for standard input, or undefined: then it is asked for
 * @param nonce  of the flag; needed unless somebody is asked, who is then told what for
 * @param underWay  the nonce of what is under way
 */
export async function givenShare(
  argument: string | undefined,
  nonce: string | undefined,
  { underWay, label, interactive }: { underWay: () => Promise<string>; label: string; interactive: boolean },
): Promise<Given> {
  if (argument !== undefined && !nonce) {
    throw new CommandFailure('The nonce is missing: give the one that -init printed, by -nonce', EXIT_LOCAL)
  }
  const meant = nonce || (await underWay())
  if (!nonce) complain(`Operation nonce: ${meant}`)
  const key = argument === undefined || argument === '-' ? '' : argument.trim()
  return { key: key || (await askSecret(label, interactive)).trim(), nonce: meant }
}

/** What a reply says, with an envelope around it or without. */
export function contentOf(reply: ClientReply): Record<string, unknown> {
  if (!isObject(reply.json)) return {}
  return isObject(reply.json['data']) ? reply.json['data'] : reply.json
}
