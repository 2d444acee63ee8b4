/** Files with public PGP keys, for the flags that name them. */
import { readText } from './data-arguments.ts'
import { CommandFailure, EXIT_LOCAL } from './failure.ts'

/**
 * The API takes keys as base64 of their bytes; an armored key is sent as it is read, without its armor.
 *
 * @param list  paths, separated by commas
 */
export async function readPgpKeys(list: string): Promise<string[]> {
  return await Promise.all(
    list.split(',').map(async (name) => {
      const path = name.trim().replace(/^@/, '')
      if (path.startsWith('keybase:')) {
        throw new CommandFailure('keys from Keybase cannot be fetched: give the file of the public key', EXIT_LOCAL)
      }
      return await readPgpKey(path)
    }),
  )
}

async function readPgpKey(path: string): Promise<string> {
  const text = await readText(path)
  const armor =
    /-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[^\r\n]+\r?\n)*\r?\n([A-Za-z0-9+/=\r\n]+?)(?:\r?\n=[A-Za-z0-9+/]{4})?\r?\n-----END/.exec(
      text,
    )
  if (armor) return armor[1]!.replace(/\s+/g, '')
  if (text.includes('-----BEGIN PGP PRIVATE KEY')) {
    throw new CommandFailure(
      `${path} holds a private key: it must not leave its owner. Give the public key`,
      EXIT_LOCAL,
    )
  }
  if (/^[A-Za-z0-9+/=\s]+$/.test(text)) return text.replace(/\s+/g, '')
  const { readFile } = await import('node:fs/promises')
  return (await readFile(path)).toString('base64')
}
