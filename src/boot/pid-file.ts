/** The file that tells other programs the number of this process, as long as it runs. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { ConfigError } from './config.ts'

/** @returns what removes it again, unless another server has written its own number there since */
export function writePidFile(file: string): () => void {
  const text = `${process.pid}\n`
  try {
    writeFileSync(file, text, { mode: 0o644 })
  } catch (error) {
    throw new ConfigError(`pid_file ${file} cannot be written: ${(error as NodeJS.ErrnoException).code}`)
  }
  return () => {
    try {
      if (readFileSync(file, 'utf8') === text) rmSync(file)
    } catch {
      // Gone already, or no longer ours to remove: nothing depends on it.
    }
  }
}
