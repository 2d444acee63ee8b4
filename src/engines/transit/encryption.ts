/** The paths that encrypt, decrypt, and encrypt anew with the latest version. */
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import type { Field, Fields } from '#sdk/schema.ts'
import {
  batchInput,
  batchReply,
  bytesOf,
  eachItem,
  type Item,
  itemsOf,
  numberOf,
  partialFailureCode,
  type Result,
  textOf,
} from './batch.ts'
import { makeKey } from './create.ts'
import { decryptMessage, encryptMessage } from './crypt.ts'
import { type KeyEntry, keyNamed, nameField, refuse } from './key.ts'
import { usable } from './use.ts'
import { type SettingsEntry, SETTINGS_KEY } from './settings.ts'
import { keyTypes, typeNamed } from './types.ts'

export const contextField = {
  type: 'string',
  about: 'Context of the message, in base64; needed with keys that are derived.',
  default: '',
} as const satisfies Field
export const associatedField = {
  type: 'string',
  about: 'Data in base64 that are not encrypted but must be the same when the message is decrypted.',
  default: '',
} as const satisfies Field
export const keyVersionField = {
  type: 'integer',
  about: 'Version of the key to use; 0: the latest.',
  default: 0,
} as const satisfies Field
const ciphertextField = { type: 'string', about: 'The encrypted message.', default: '' } as const satisfies Field

const encryptFields = {
  name: nameField,
  plaintext: { type: 'string', about: 'The message, in base64.' },
  context: contextField,
  associated_data: associatedField,
  key_version: keyVersionField,
  batch_input: batchInput,
  partial_failure_response_code: partialFailureCode,
  type: { type: 'string', about: 'Type of the key, if it is made by this request.', default: 'aes256-gcm96' },
  convergent_encryption: {
    type: 'boolean',
    about: 'Whether the key, if it is made by this request, gives the same ciphertext for the same message.',
    default: false,
  },
} as const satisfies Fields

const decryptFields = {
  name: nameField,
  ciphertext: ciphertextField,
  context: contextField,
  associated_data: associatedField,
  batch_input: batchInput,
  partial_failure_response_code: partialFailureCode,
} as const satisfies Fields

const rewrapFields = {
  name: nameField,
  ciphertext: ciphertextField,
  context: contextField,
  key_version: keyVersionField,
  batch_input: batchInput,
} as const satisfies Fields

const itemShape = {
  plaintext: 'string',
  ciphertext: 'string',
  context: 'string',
  associated_data: 'string',
  reference: 'string',
  key_version: 'int',
} as const

export const encryptionPaths: readonly Path[] = [
  {
    pattern: 'encrypt/:name',
    computesOnly: true,
    about: 'Encryption with a key that stays here.',
    exists: async ({ mount, data }) => (await keyNamed(mount.storage, data['name'] as string)) !== undefined,
    operations: {
      update: endpoint(
        'Encrypt a message, or many. Who may create gets a key made if there is none.',
        encryptFields,
        encryptAll,
      ),
    },
  },
  {
    pattern: 'decrypt/:name',
    computesOnly: true,
    about: 'Decryption with a key that stays here.',
    operations: { update: endpoint('Decrypt a message, or many.', decryptFields, decryptAll) },
  },
  {
    pattern: 'rewrap/:name',
    computesOnly: true,
    about: 'Encrypting anew, without showing the message.',
    operations: { update: endpoint('Encrypt a message, or many, with the latest key.', rewrapFields, rewrapAll) },
  },
]

const MISSING = 'encryption key not found'

type EncryptCall = Call<typeof encryptFields>

async function encryptAll(call: EncryptCall): Promise<Reply> {
  const { mount, data } = call
  const batch = data.batch_input !== undefined
  const missing = { name: 'plaintext', message: 'missing plaintext to encrypt' }
  const items = batch ? itemsOf(data.batch_input, itemShape, missing) : [data as Item]
  if (!batch && data.plaintext === undefined) refuse(missing.message)

  const made = call.operation === 'create' ? await madeFor(call, items) : { warnings: undefined }
  const key = usable(await keyNamed(mount.storage, data.name), MISSING)
  const work = async (item: Item, index: number): Promise<Result> => {
    const context = bytesOf(item, 'context')
    const associated = associatedOf(key, item, index)
    const plain = bytesOf(item, 'plaintext')
    const message = { context, associated, keyVersion: numberOf(item, 'key_version') }
    const { ciphertext, version } = await encryptMessage(mount, key, plain, message)
    plain.fill(0)
    return { ciphertext, key_version: version }
  }
  const reply = batch
    ? batchReply(await eachItem(items, work), data.partial_failure_response_code)
    : { data: await work(items[0]!, 0) }
  return { ...reply, ...(made.warnings && { warnings: made.warnings }) }
}

/** @throws ApiError `invalid_request` when the key's cipher has no place for it */
export function associatedOf(key: Readonly<KeyEntry>, item: Item, index: number): Buffer {
  const associated = bytesOf(item, 'associated_data')
  if (associated.length > 0 && keyTypes[key.type].family !== 'aead') {
    refuse(`[${index}].associated_data provided for non-AEAD cipher suite ${key.type}`)
  }
  return associated
}

/** Makes the key that a request to encrypt expects, derived if its messages have contexts. */
async function madeFor({ mount, data }: EncryptCall, items: readonly Item[]): Promise<{ warnings?: string[] }> {
  const settings = await mount.storage.getShared<SettingsEntry>(SETTINGS_KEY)
  if (settings?.disable_upsert) refuse(MISSING)
  const derived = textOf(items[0]!, 'context') !== ''
  if (items.some((item) => (textOf(item, 'context') !== '') !== derived)) {
    refuse('context should be set either in all the request blocks or in none')
  }
  if (data.convergent_encryption && !derived) {
    refuse('convergent encryption requires derivation to be enabled, so context is required')
  }
  const type = typeNamed(data.type)
  // As the API has it: other keys have to be made by themselves first.
  if (keyTypes[type].family === 'ecdsa') refuse(`key type ${data.type} not supported for this operation`)
  if (keyTypes[type].family !== 'aead') refuse(`unknown key type ${data.type}`)
  const { made } = await makeKey(mount, data.name, { type, derived, convergent: data.convergent_encryption })
  if (made) return {}
  return {
    warnings: ['Attempted creation of the key during the encrypt operation, but it was created beforehand'],
  }
}

async function decryptAll({ mount, data }: Call<typeof decryptFields>): Promise<Reply> {
  const batch = data.batch_input !== undefined
  const missing = { name: 'ciphertext', message: 'missing ciphertext to decrypt' }
  const items = batch ? itemsOf(data.batch_input, itemShape, missing) : [data as Item]
  if (!batch && data.ciphertext === '') refuse(missing.message)

  const key = usable(await keyNamed(mount.storage, data.name), MISSING)
  const work = async (item: Item, index: number): Promise<Result> => {
    const ciphertext = textOf(item, 'ciphertext')
    if (ciphertext === '') refuse(missing.message)
    const message = { context: bytesOf(item, 'context'), associated: associatedOf(key, item, index) }
    const plain = await decryptMessage(mount, key, ciphertext, message)
    const plaintext = plain.toString('base64')
    plain.fill(0)
    return { plaintext }
  }
  if (!batch) return { data: await work(items[0]!, 0) }
  const results = (await eachItem(items, work)).map((result) => ({ plaintext: '', ...result }))
  return batchReply(results, data.partial_failure_response_code)
}

async function rewrapAll({ mount, data }: Call<typeof rewrapFields>): Promise<Reply> {
  const batch = data.batch_input !== undefined
  const missing = { name: 'ciphertext', message: 'missing ciphertext to decrypt' }
  const items = batch ? itemsOf(data.batch_input, itemShape, missing) : [data as Item]
  if (!batch && data.ciphertext === '') refuse(missing.message)

  const key = usable(await keyNamed(mount.storage, data.name), MISSING)
  const work = async (item: Item): Promise<Result> => {
    const message = { context: bytesOf(item, 'context'), associated: Buffer.alloc(0) }
    const plain = await decryptMessage(mount, key, textOf(item, 'ciphertext'), message)
    const keyVersion = numberOf(item, 'key_version')
    const { ciphertext, version } = await encryptMessage(mount, key, plain, { ...message, keyVersion })
    plain.fill(0)
    return { ciphertext, key_version: version }
  }
  if (!batch) return { data: await work(items[0]!) }
  // As the API has it: 200 here even when items failed.
  return { data: { batch_results: await eachItem(items, work) } }
}
