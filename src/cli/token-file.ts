/**
 * The token of the last `login`, in `~/.vault-token`: the file that the Vault and OpenBao command lines use, so that a
 * team can go back and forth between the programs without logging in again.
 */
import { homedir } from 'node:os'
import { join } from 'node:path'

/** No token is longer; a larger file is not one. */
const MAX_TOKEN_BYTES = 64 * 1024

function tokenFile(): string {
  return join(homedir(), '.vault-token')
}

export async function readTokenFile(): Promise<string | undefined> {
  const { readFile } = await import('node:fs/promises')
  try {
    const token = (await readFile(tokenFile(), 'utf8')).trim()
    return token === '' || token.length > MAX_TOKEN_BYTES ? undefined : token
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Written beside and renamed, so that nobody ever sees half a token, or one that others may read. */
export async function writeTokenFile(token: string): Promise<void> {
  const { open, rename, rm } = await import('node:fs/promises')
  const path = tokenFile()
  const draft = `${path}.${process.pid}.tmp`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(token)
    await file.sync()
    await file.close()
    await rename(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}
