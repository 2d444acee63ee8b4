/** `issue/:role`: a key and a certificate for it. The hot path: one decision, one key, one signature, one write. */
import { newKey } from '#lib/x509/new-key.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import type { Data, Fields } from '#sdk/schema.ts'
import { type AskedNames, askedNames } from './asked-names.ts'
import { putCertificate } from './certificates.ts'
import { issuerRef, leafFields } from './fields.ts'
import { chainOf, type Issuer, isSelfSigned, type Signer, signerFor } from './issuer-store.ts'
import { checkedKind, refuse } from './key-store.ts'
import { type Made, makeLeaf } from './leaf.ts'
import { certificateText, checkedFormat, checkedKeyFormat, privateKeyText } from './output.ts'
import type { RoleEntry } from './role.ts'
import { roleKey } from './role-paths.ts'
import { roleFor } from './role-templates.ts'
import { colons } from './serials.ts'
import { accessUrls } from './urls.ts'
import { type Validity, validityOf } from './validity.ts'

const issueFields = {
  role: { type: 'string', about: 'Name of the role.', required: true },
  issuer_ref: issuerRef,
  ...leafFields,
  key_type: { type: 'string', about: 'rsa, ec or ed25519, where the role leaves it open.', default: '' },
  key_bits: { type: 'integer', about: 'Bits of that key; 0: what the type usually has.', default: 0 },
} as const satisfies Fields

type IssueCall = Call<typeof issueFields>

export const issuePaths: readonly Path[] = [
  {
    pattern: 'issue/:role',
    operations: { update: endpoint('Issue a certificate with a new key.', issueFields, (call) => issue(call, false)) },
  },
  {
    pattern: 'issuer/:issuer_ref/issue/:role',
    operations: {
      update: endpoint('Issue a certificate with a new key, by this issuer.', issueFields, (call) => issue(call, true)),
    },
  },
]

async function issue({ mount, data, caller }: IssueCall, byPath: boolean): Promise<Reply> {
  const role = await roleFor(mount, await neededRole(mount, data.role), caller)
  const format = checkedFormat(data.format)
  const keyForm = checkedKeyFormat(data.private_key_format)
  const { keyType, keyBits } = keyKind(role, data)
  const signer = await signerFor(mount, byPath ? data.issuer_ref : role.issuer_ref, 'issuing-certificates')
  const order = await orderFor({ mount, role, data, signer, names: askedNames(role, data, undefined) })
  const key = await newKey(keyType, keyBits)
  const made = await makeLeaf({ ...order, spki: key.spki })
  await keep(mount, role, order, made)
  const chain = await shownChain(mount, signer, data.remove_roots_from_chain)
  const shown = leafData({ order, made, chain, format })
  const text = privateKeyText(key.pem, key.type, keyForm, format)
  shown['private_key'] = text
  shown['private_key_type'] = key.type
  if (format === 'pem_bundle') shown['certificate'] = [text, shown['certificate']].join('\n')
  return replyOf(mount, role, order, made, shown)
}

export async function neededRole(mount: Mount, name: string): Promise<Readonly<RoleEntry>> {
  const role = await mount.storage.getShared<RoleEntry>(roleKey(name))
  return role ?? refuse(`unknown role: ${name}`)
}

function keyKind(role: RoleEntry, data: Data<typeof issueFields>): ReturnType<typeof checkedKind> {
  if (role.key_type !== 'any') return checkedKind(role.key_type, role.key_bits)
  if (data.key_type === '') refuse('role key type "any" not allowed for issuing certificates, only signing')
  return checkedKind(data.key_type, data.key_bits)
}

export interface Order extends AskedNames {
  role: Readonly<RoleEntry>
  validity: Validity
  signer: Signer
  urls: Awaited<ReturnType<typeof accessUrls>>
}

export async function orderFor(asked: {
  mount: Mount
  role: Readonly<RoleEntry>
  data: Pick<Data<typeof leafFields>, 'ttl' | 'not_after' | 'not_before'>
  signer: Signer
  names: AskedNames
}): Promise<Order> {
  const { mount, role, data, signer, names } = asked
  const validity = validityOf({
    role,
    input: data,
    settings: mount.settings(),
    now: mount.clock.now(),
    issuer: { notAfter: signer.certificate.notAfter, behavior: signer.entry.leaf_not_after_behavior },
  })
  return { ...names, role, validity, signer, urls: await accessUrls(mount.storage, signer.entry) }
}

/** The certificate and its place in the order of ends, in one change. */
export async function keep(
  mount: Mount,
  role: Readonly<RoleEntry>,
  order: Order,
  { der, serial }: Made,
): Promise<void> {
  if (role.no_store) return
  await mount.storage.transact(async (transaction) => {
    putCertificate(transaction, serial, {
      certificate: der.toString('base64'),
      issuer_id: order.signer.entry.id,
      crl_id: order.signer.entry.crl_id,
      not_after_ms: order.validity.notAfter.getTime(),
    })
  })
}

export async function shownChain(mount: Mount, signer: Signer, withoutRoots: boolean): Promise<Issuer[]> {
  const chain = await chainOf(mount.storage, signer)
  return withoutRoots ? chain.filter(({ certificate }) => !isSelfSigned(certificate)) : chain
}

export function leafData(shown: {
  order: Order
  made: Made
  chain: readonly Issuer[]
  format: ReturnType<typeof checkedFormat>
}): Record<string, unknown> {
  const { order, made, chain, format } = shown
  const texts = chain.map((each) => (format === 'der' ? each.entry.certificate : each.pem))
  const certificate = certificateText(made.der, format)
  return {
    certificate: format === 'pem_bundle' ? [certificate, ...texts].join('\n') : certificate,
    issuing_ca: format === 'der' ? order.signer.entry.certificate : order.signer.pem,
    ca_chain: texts,
    serial_number: colons(made.serial),
    expiration: order.validity.notAfter.getTime() / 1000,
    not_before: order.validity.notBefore.getTime() / 1000,
  }
}

/** @returns with a lease where the role has it: its end, and what ends it before, revoke the certificate */
export function replyOf(
  mount: Mount,
  role: Readonly<RoleEntry>,
  { validity, signer }: Order,
  made: Made,
  data: Record<string, unknown>,
): Reply {
  const reply: Reply = { data, ...(validity.warnings.length > 0 && { warnings: validity.warnings }) }
  if (!role.generate_lease) return reply
  const ttlSeconds = Math.floor((validity.notAfter.getTime() - mount.clock.now().getTime()) / 1000)
  const revoke = {
    serial_number: made.serial,
    issuer_id: signer.entry.id,
    crl_id: signer.entry.crl_id,
    not_after_ms: validity.notAfter.getTime(),
    // Not kept elsewhere: then the revocation needs it.
    ...(role.no_store && { certificate: made.der.toString('base64') }),
  }
  return { ...reply, lease: { ttlSeconds, maxTtlSeconds: ttlSeconds, renewable: false, revoke } }
}
