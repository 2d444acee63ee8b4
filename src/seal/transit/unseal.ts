/**
 * Auto-unseal with a key of another server's transit engine: one well guarded server can so unseal many.
 *
 *     seal "transit" {
 *       address    = "https://guard.example.com:8200"
 *       token      = "file:///etc/strongroom/unseal-token"
 *       mount_path = "transit/"
 *       key_name   = "unseal-app"
 *     }
 *
 * The token needs `update` on `<mount>/encrypt/<key>` and `<mount>/decrypt/<key>`. When the key is rotated there, the root key
 * is wrapped again with its newest version.
 */
import { trimSlashes } from '#lib/slashes.ts'
import type { ApiError } from '#sdk/errors.ts'
import { isObject } from '#sdk/schema.ts'
import type { AutoUnseal, AutoUnsealKind, WrappedKey } from '#sdk/seal.ts'
import {
  asBoolean,
  failing,
  needed,
  readFileAt,
  readSecretText,
  readSettings,
  type Settings,
  unusable,
} from '#seal/settings.ts'
import { Peer, type PeerOptions } from './peer.ts'
import { Renewal } from './renewal.ts'

const KIND = 'transit'
const MAX_PEM_BYTES = 1024 * 1024

const settings = {
  address: ['VAULT_ADDR'],
  token: ['VAULT_TOKEN'],
  key_name: ['VAULT_TRANSIT_SEAL_KEY_NAME'],
  mount_path: ['VAULT_TRANSIT_SEAL_MOUNT_PATH'],
  namespace: ['VAULT_NAMESPACE'],
  disable_renewal: ['VAULT_TRANSIT_SEAL_DISABLE_RENEWAL'],
  tls_ca_cert: ['VAULT_CACERT'],
  tls_client_cert: ['VAULT_CLIENT_CERT'],
  tls_client_key: ['VAULT_CLIENT_KEY'],
  tls_server_name: ['VAULT_TLS_SERVER_NAME'],
  tls_skip_verify: ['VAULT_SKIP_VERIFY'],
} as const

type Given = Settings<typeof settings>

export const kind: AutoUnsealKind = {
  name: KIND,
  async open(options) {
    const given = readSettings(KIND, settings, options, process.env)
    const mount = trimSlashes(needed(KIND, settings, given, 'mount_path'))
    const key = needed(KIND, settings, given, 'key_name')
    if (!isPath(mount) || !isPath(key) || key.includes('/')) {
      throw unusable(KIND, 'mount_path and key_name are names as they stand in a path')
    }
    const peer = new Peer({
      address: addressOf(needed(KIND, settings, given, 'address')),
      token: await tokenOf(given),
      namespace: trimSlashes(given.namespace ?? '') || undefined,
      tls: await tlsOf(given),
    })
    const renewal = asBoolean(KIND, 'disable_renewal', given.disable_renewal) ? undefined : new Renewal(peer)
    return new TransitUnseal(peer, { mount, key }, renewal)
  },
}

class TransitUnseal implements AutoUnseal {
  readonly #peer: Peer
  readonly #place: { mount: string; key: string }
  readonly #renewal: Renewal | undefined

  constructor(peer: Peer, place: { mount: string; key: string }, renewal: Renewal | undefined) {
    this.#peer = peer
    this.#place = place
    this.#renewal = renewal
  }

  async wrap(key: Uint8Array): Promise<WrappedKey> {
    const plaintext = Buffer.from(key).toString('base64')
    const ciphertext = await this.#call('encrypt', { plaintext }, 'ciphertext')
    const version = /^vault:v(\d+):/.exec(ciphertext)?.[1]
    if (version === undefined) throw failing(KIND, 'the other server gave no answer of use', 'encrypt: no ciphertext')
    const { mount, key: name } = this.#place
    return { keyId: `${mount}/${name}:v${version}`, bytes: Buffer.from(ciphertext) }
  }

  async unwrap({ bytes }: WrappedKey): Promise<Uint8Array> {
    const plaintext = await this.#call('decrypt', { ciphertext: Buffer.from(bytes).toString() }, 'plaintext')
    return Buffer.from(plaintext, 'base64')
  }

  trouble(): ApiError | undefined {
    return this.#renewal?.trouble()
  }

  async close(): Promise<void> {
    this.#renewal?.stop()
  }

  async #call(what: 'encrypt' | 'decrypt', body: Record<string, string>, field: string): Promise<string> {
    const { mount, key } = this.#place
    const { data } = await this.#peer.post(`${mount}/${what}/${key}`, body)
    const value = isObject(data) ? data[field] : undefined
    if (typeof value !== 'string') throw failing(KIND, 'the other server gave no answer of use', `${what}: no ${field}`)
    this.#renewal?.start()
    return value
  }
}

function addressOf(text: string): URL {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) throw unusable(KIND, 'address is no http or https address')
  if (url.username || url.password || url.search || url.hash) {
    throw unusable(KIND, 'address is a scheme, a host and a port, and may have a path')
  }
  return url
}

async function tokenOf(given: Given): Promise<string> {
  const token = await readSecretText(KIND, 'token', needed(KIND, settings, given, 'token'))
  // What cannot be in a header would be told in an error, with the token in it.
  if (!/^[\x21-\x7e]+$/.test(token)) throw unusable(KIND, 'token is not the text of a token')
  return token
}

async function tlsOf(given: Given): Promise<PeerOptions['tls']> {
  if (Boolean(given.tls_client_cert) !== Boolean(given.tls_client_key)) {
    throw unusable(KIND, 'tls_client_cert and tls_client_key are given together or not at all')
  }
  const file = async (name: 'tls_ca_cert' | 'tls_client_cert' | 'tls_client_key') =>
    given[name] === undefined ? undefined : await readFileAt(KIND, name, given[name], MAX_PEM_BYTES)
  const [ca, cert, key] = [await file('tls_ca_cert'), await file('tls_client_cert'), await file('tls_client_key')]
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(given.tls_server_name && { servername: given.tls_server_name }),
    rejectUnauthorized: !asBoolean(KIND, 'tls_skip_verify', given.tls_skip_verify),
  }
}

/** No step up, no empty part, nothing that would end the path or be written otherwise in it. */
function isPath(text: string): boolean {
  return /^[\w.~-]+(?:\/[\w.~-]+)*$/.test(text) && !/(?:^|\/)\.{1,2}(?:\/|$)/.test(text)
}
