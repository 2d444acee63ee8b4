/**
 * PKCS #11 (OASIS, version 2.40 with the function names of all versions since) as the libraries of its tokens speak it on
 * 64-bit Linux and macOS: numbers and pointers of 8 bytes, structures with natural alignment, little endian.
 *
 * Only for the process of program.ts: a wrong call here can crash a process, and the server must not be that one.
 */
import { dlopen, getRawPointer } from 'node:ffi'

/** Of the specification, those that are used. */
export const CKM = { RSA_PKCS_OAEP: 0x09n, AES_KEY_GEN: 0x1080n, AES_GCM: 0x1087n } as const
export const CKO = { PUBLIC_KEY: 2n, PRIVATE_KEY: 3n, SECRET_KEY: 4n } as const
export const CKA = {
  CLASS: 0x00n,
  TOKEN: 0x01n,
  PRIVATE: 0x02n,
  LABEL: 0x03n,
  KEY_TYPE: 0x100n,
  ID: 0x102n,
  SENSITIVE: 0x103n,
  ENCRYPT: 0x104n,
  DECRYPT: 0x105n,
  VALUE_LEN: 0x161n,
  EXTRACTABLE: 0x162n,
} as const
export const CKK_AES = 0x1fn
const CKU_USER = 1n
const CKF_RW_SESSION = 2n
const CKF_SERIAL_SESSION = 4n

const resultNames: Readonly<Record<string, string>> = {
  '3': 'CKR_SLOT_ID_INVALID',
  '5': 'CKR_GENERAL_ERROR',
  '40': 'CKR_ENCRYPTED_DATA_INVALID',
  '41': 'CKR_ENCRYPTED_DATA_LEN_RANGE',
  '68': 'CKR_KEY_FUNCTION_NOT_PERMITTED',
  '70': 'CKR_MECHANISM_INVALID',
  '71': 'CKR_MECHANISM_PARAM_INVALID',
  '7': 'CKR_ARGUMENTS_BAD',
  '30': 'CKR_DEVICE_ERROR',
  '32': 'CKR_DEVICE_REMOVED',
  a0: 'CKR_PIN_INCORRECT',
  a1: 'CKR_PIN_INVALID',
  a2: 'CKR_PIN_LEN_RANGE',
  a3: 'CKR_PIN_EXPIRED',
  a4: 'CKR_PIN_LOCKED',
  e0: 'CKR_TOKEN_NOT_PRESENT',
  e1: 'CKR_TOKEN_NOT_RECOGNIZED',
}
const CKR_USER_ALREADY_LOGGED_IN = 0x100n

const MAX_SLOTS = 256
const TOKEN_INFO_BYTES = 512
const TOKEN_LABEL_BYTES = 32
const MAX_OUTPUT_BYTES = 4096

const number = 'u64'
const place = 'pointer'
const given = 'buffer'
const signatures = {
  C_Initialize: { arguments: [place], return: number },
  C_Finalize: { arguments: [place], return: number },
  C_GetSlotList: { arguments: ['u8', place, given], return: number },
  C_GetTokenInfo: { arguments: [number, given], return: number },
  C_OpenSession: { arguments: [number, number, place, place, given], return: number },
  C_CloseSession: { arguments: [number], return: number },
  C_Login: { arguments: [number, number, given, number], return: number },
  C_FindObjectsInit: { arguments: [number, given, number], return: number },
  C_FindObjects: { arguments: [number, given, number, given], return: number },
  C_FindObjectsFinal: { arguments: [number], return: number },
  C_GetAttributeValue: { arguments: [number, number, given, number], return: number },
  C_GenerateKey: { arguments: [number, given, given, number, given], return: number },
  C_EncryptInit: { arguments: [number, given, number], return: number },
  C_Encrypt: { arguments: [number, given, number, given, given], return: number },
  C_DecryptInit: { arguments: [number, given, number], return: number },
  C_Decrypt: { arguments: [number, given, number, given, given], return: number },
} as const

type Call = keyof typeof signatures

/** What the token answered; the texts of the call and the result are those of the specification. */
export class CryptokiError extends Error {
  override readonly name = 'CryptokiError'

  readonly call: string
  readonly result: string

  constructor(call: string, result: string) {
    super(`${call}: ${result}`)
    this.call = call
    this.result = result
  }
}

export type Attribute = readonly [type: bigint, value: bigint | boolean | Uint8Array]

export class Cryptoki {
  readonly #functions: ReturnType<typeof dlopen<typeof signatures>>['functions']

  /** @throws Error if this is no library of this kind */
  constructor(library: string) {
    this.#functions = dlopen(library, signatures).functions
    this.#call('C_Initialize', null)
  }

  close(): void {
    this.#call('C_Finalize', null)
  }

  /** Slots with a token in them. */
  slots(): bigint[] {
    const count = numberOf(BigInt(MAX_SLOTS))
    const list = Buffer.alloc(MAX_SLOTS * 8)
    this.#call('C_GetSlotList', 1, list, count)
    return Array.from({ length: Number(count.readBigUInt64LE()) }, (_, index) => list.readBigUInt64LE(index * 8))
  }

  tokenLabel(slot: bigint): string {
    const info = Buffer.alloc(TOKEN_INFO_BYTES)
    this.#call('C_GetTokenInfo', slot, info)
    return info.toString('utf8', 0, TOKEN_LABEL_BYTES).trimEnd()
  }

  /** @param writing  also keys may be made in it */
  openSession(slot: bigint, writing: boolean): bigint {
    const session = numberOf(0n)
    this.#call('C_OpenSession', slot, CKF_SERIAL_SESSION | (writing ? CKF_RW_SESSION : 0n), null, null, session)
    return session.readBigUInt64LE()
  }

  closeSession(session: bigint): void {
    this.#call('C_CloseSession', session)
  }

  login(session: bigint, pin: Buffer): void {
    const result = this.#functions.C_Login(session, CKU_USER, pin, BigInt(pin.length))
    if (result !== CKR_USER_ALREADY_LOGGED_IN) check('C_Login', result)
  }

  /** At most `limit` objects that have all these attributes. */
  find(session: bigint, attributes: readonly Attribute[], limit: number): bigint[] {
    const template = templateOf(attributes)
    const objects = Buffer.alloc(limit * 8)
    const count = numberOf(0n)
    this.#call('C_FindObjectsInit', session, template.bytes, template.count)
    try {
      this.#call('C_FindObjects', session, objects, BigInt(limit), count)
    } finally {
      this.#call('C_FindObjectsFinal', session)
    }
    return Array.from({ length: Number(count.readBigUInt64LE()) }, (_, index) => objects.readBigUInt64LE(index * 8))
  }

  /** @param maxBytes  a longer value is refused by the token */
  attribute(session: bigint, object: bigint, type: bigint, maxBytes: number): Buffer {
    const value = Buffer.alloc(maxBytes)
    const template = templateOf([[type, value]])
    this.#call('C_GetAttributeValue', session, object, template.bytes, 1n)
    return value.subarray(0, Number(template.bytes.readBigUInt64LE(16)))
  }

  generateKey(session: bigint, mechanism: bigint, attributes: readonly Attribute[]): bigint {
    const [template, how] = [templateOf(attributes), mechanismOf(mechanism)]
    const key = numberOf(0n)
    this.#call('C_GenerateKey', session, how, template.bytes, template.count, key)
    return key.readBigUInt64LE()
  }

  encrypt(session: bigint, mechanism: Buffer, key: bigint, data: Buffer): Buffer {
    return this.#crypt('Encrypt', session, mechanism, key, data)
  }

  decrypt(session: bigint, mechanism: Buffer, key: bigint, data: Buffer): Buffer {
    return this.#crypt('Decrypt', session, mechanism, key, data)
  }

  #crypt(what: 'Encrypt' | 'Decrypt', session: bigint, mechanism: Buffer, key: bigint, data: Buffer): Buffer {
    const output = Buffer.alloc(MAX_OUTPUT_BYTES)
    const length = numberOf(BigInt(MAX_OUTPUT_BYTES))
    this.#call(`C_${what}Init`, session, mechanism, key)
    this.#call(`C_${what}`, session, data, BigInt(data.length), output, length)
    return output.subarray(0, Number(length.readBigUInt64LE()))
  }

  #call(name: Call, ...values: (bigint | number | Buffer | null)[]): void {
    const call = this.#functions[name] as (...given: unknown[]) => bigint
    check(name, call(...values))
  }
}

export function mechanismOf(mechanism: bigint, parameters?: Buffer): Buffer {
  const bytes = Buffer.alloc(24)
  bytes.writeBigUInt64LE(mechanism, 0)
  bytes.writeBigUInt64LE(parameters ? addressOf(parameters) : 0n, 8)
  bytes.writeBigUInt64LE(BigInt(parameters?.length ?? 0), 16)
  return bytes
}

/** CK_GCM_PARAMS: IV, its length in bytes and bits, associated data, its length, bits of the tag. */
export function gcmParameters(iv: Buffer, associated: Buffer, tagBits: number): Buffer {
  const bytes = Buffer.alloc(48)
  bytes.writeBigUInt64LE(addressOf(iv), 0)
  bytes.writeBigUInt64LE(BigInt(iv.length), 8)
  bytes.writeBigUInt64LE(BigInt(iv.length * 8), 16)
  bytes.writeBigUInt64LE(addressOf(associated), 24)
  bytes.writeBigUInt64LE(BigInt(associated.length), 32)
  bytes.writeBigUInt64LE(BigInt(tagBits), 40)
  return bytes
}

/** CK_RSA_PKCS_OAEP_PARAMS: hash, mask function, then where the label comes from (given) and the label (none). */
export function oaepParameters(hash: bigint, mask: bigint): Buffer {
  const bytes = Buffer.alloc(40)
  bytes.writeBigUInt64LE(hash, 0)
  bytes.writeBigUInt64LE(mask, 8)
  bytes.writeBigUInt64LE(1n, 16)
  return bytes
}

/** CK_ATTRIBUTE: type, address of the value, its length. */
function templateOf(attributes: readonly Attribute[]): { bytes: Buffer; count: bigint } {
  const bytes = Buffer.alloc(attributes.length * 24)
  const values = attributes.map(([, value]) => bytesOf(value))
  attributes.forEach(([type], index) => {
    bytes.writeBigUInt64LE(type, index * 24)
    bytes.writeBigUInt64LE(addressOf(values[index]!), index * 24 + 8)
    bytes.writeBigUInt64LE(BigInt(values[index]!.length), index * 24 + 16)
  })
  return { bytes, count: BigInt(attributes.length) }
}

function bytesOf(value: Attribute[1]): Buffer {
  if (typeof value === 'bigint') return numberOf(value)
  if (typeof value === 'boolean') return Buffer.from([value ? 1 : 0])
  return Buffer.isBuffer(value) ? value : Buffer.from(value)
}

function numberOf(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(value)
  return bytes
}

/** An address in a structure is a plain number to the collector, so the bytes there are kept as long as the process. */
const kept: Buffer[] = []

function addressOf(bytes: Buffer): bigint {
  kept.push(bytes)
  return getRawPointer(bytes)
}

function check(call: string, result: bigint): void {
  if (result === 0n) return
  const hex = result.toString(16)
  throw new CryptokiError(call, resultNames[hex] ?? `CKR 0x${hex}`)
}
