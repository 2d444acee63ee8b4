/** Where `debug` puts what it saw: readable by its owner alone, and never over something that is there. */
import { mkdir, open } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { tar, type TarFile } from '#cli/tar.ts'

/** @returns the path of the archive or folder. @throws Error with code EEXIST when it is there already */
export async function writeBundle(
  name: string,
  files: readonly TarFile[],
  { compress, at }: { compress: boolean; at: Date },
): Promise<string> {
  if (compress) {
    const place = /\.tar\.gz$|\.tgz$/.test(name) ? name : `${name}.tar.gz`
    const folder = path.basename(place).replace(/\.tar\.gz$|\.tgz$/, '')
    await writeNew(place, await promisify(gzip)(tar(folder, files, at)))
    return place
  }
  await mkdir(name, { mode: 0o700 })
  for (const file of files) await writeNew(path.join(name, file.name), file.bytes)
  return name
}

async function writeNew(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'wx', 0o600)
  try {
    await handle.writeFile(bytes)
  } finally {
    await handle.close()
  }
}
