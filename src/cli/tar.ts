/** Archives in the format of POSIX (ustar), for a few files in one folder. Pure. */

export interface TarFile {
  /** Below the folder, at most 99 characters together with it. */
  name: string
  bytes: Uint8Array
}

const BLOCK = 512

/** @throws Error for a name that does not fit */
export function tar(folder: string, files: readonly TarFile[], at: Date): Buffer {
  const parts = [header(`${folder}/`, 0, at)]
  for (const { name, bytes } of files) {
    parts.push(header(`${folder}/${name}`, bytes.length, at), Buffer.from(bytes))
    parts.push(Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK))
  }
  // Two empty blocks end it.
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)])
}

function header(name: string, size: number, at: Date): Buffer {
  if (Buffer.byteLength(name) > 99) throw new Error(`the name ${name} is too long for an archive`)
  const isFolder = name.endsWith('/')
  const block = Buffer.alloc(BLOCK)
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0')
  block.write(name, 0)
  block.write(isFolder ? '0000700' : '0000600', 100)
  block.write('0000000', 108)
  block.write('0000000', 116)
  block.write(octal(size, 11), 124)
  block.write(octal(Math.floor(at.getTime() / 1000), 11), 136)
  block.write(' '.repeat(8), 148)
  block.write(isFolder ? '5' : '0', 156)
  block.write('ustar\u000000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)}\u0000 `, 148)
  return block
}
