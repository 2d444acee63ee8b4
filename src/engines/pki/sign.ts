/** `sign/:role` and `sign-verbatim`: a certificate for a key that the caller has, from a request that it made. */
import type { ReadRequest } from '#lib/x509/read.ts'
import { type Call, endpoint, type Mount, type Path, type Reply } from '#sdk/engine.ts'
import { decode, type Data, type Fields } from '#sdk/schema.ts'
import { askedNames } from './asked-names.ts'
import { checkKind, csrField, extraExtensions, readCsr } from './csr.ts'
import { issuerRef, keyUsageFields, leafFields, signatureFields } from './fields.ts'
import { keep, leafData, neededRole, orderFor, replyOf, shownChain } from './issue.ts'
import { signerFor } from './issuer-store.ts'
import { type LeafOrder, makeLeaf } from './leaf.ts'
import { checkedFormat } from './output.ts'
import { checkedHash, roleEntry, type RoleEntry, roleFields } from './role.ts'
import { roleFor } from './role-templates.ts'

const roleName = { type: 'string', about: 'Name of the role.', required: true } as const

const signFields = {
  role: roleName,
  issuer_ref: issuerRef,
  csr: csrField,
  ...leafFields,
} as const satisfies Fields

const verbatimFields = {
  role: { type: 'string', about: 'Role for times, lease and issuer; all else is as the request has it.', default: '' },
  issuer_ref: issuerRef,
  csr: csrField,
  ...leafFields,
  ...keyUsageFields,
  ...signatureFields,
  basic_constraints_valid_for_non_ca: {
    type: 'boolean',
    about: 'The certificate says that it is no CA.',
    default: false,
  },
} as const satisfies Fields

const sign = (byPath: boolean) =>
  endpoint('Sign a request under a role.', signFields, (call) => signUnderRole(call, byPath))
const verbatim = (byPath: boolean) =>
  endpoint('Sign a request as it is.', verbatimFields, (call) => signVerbatim(call, byPath))

export const signPaths: readonly Path[] = [
  { pattern: 'sign/:role', operations: { update: sign(false) } },
  { pattern: 'issuer/:issuer_ref/sign/:role', operations: { update: sign(true) } },
  { pattern: 'sign-verbatim', operations: { update: verbatim(false) } },
  { pattern: 'sign-verbatim/:role', operations: { update: verbatim(false) } },
  { pattern: 'issuer/:issuer_ref/sign-verbatim', operations: { update: verbatim(true) } },
  { pattern: 'issuer/:issuer_ref/sign-verbatim/:role', operations: { update: verbatim(true) } },
]

async function signUnderRole({ mount, data, caller }: Call<typeof signFields>, byPath: boolean): Promise<Reply> {
  const role = await roleFor(mount, await neededRole(mount, data.role), caller)
  const csr = readCsr(data.csr)
  checkKind(csr, role)
  const warnings: string[] = []
  if (role.use_csr_common_name && data.common_name !== '') {
    warnings.push('the common_name field was provided but the role is set with "use_csr_common_name" set to true')
  }
  if (role.use_csr_sans && (data.alt_names ?? []).length > 0) {
    warnings.push('the alt_names field was provided but the role is set with "use_csr_sans" set to true')
  }
  const issuer = byPath ? data.issuer_ref : role.issuer_ref
  const reply = await signed({ mount, data, role, csr, issuer, verbatim: undefined })
  const all = [...(reply.warnings ?? []), ...warnings]
  return { ...reply, ...(all.length > 0 && { warnings: all }) }
}

async function signVerbatim({ mount, data }: Call<typeof verbatimFields>, byPath: boolean): Promise<Reply> {
  const role = data.role === '' ? undefined : await neededRole(mount, data.role)
  const csr = readCsr(data.csr)
  const all = anything()
  const free: RoleEntry = {
    ...all,
    ttl: role?.ttl ?? 0,
    max_ttl: role?.max_ttl ?? 0,
    generate_lease: role?.generate_lease ?? false,
    no_store: role?.no_store ?? false,
    not_before_duration: role?.not_before_duration ?? all.not_before_duration,
    issuer_ref: role?.issuer_ref ?? 'default',
    key_usage: [...data.key_usage],
    ext_key_usage: data.ext_key_usage ?? [],
    ext_key_usage_oids: data.ext_key_usage_oids ?? [],
    signature_bits: checkedHash('ec', data.signature_bits),
    use_pss: data.use_pss,
    basic_constraints_valid_for_non_ca: data.basic_constraints_valid_for_non_ca,
  }
  const issuer = byPath ? data.issuer_ref : free.issuer_ref
  return await signed({
    mount,
    data,
    role: free,
    csr,
    issuer,
    verbatim: { subject: csr.subject, extensions: extraExtensions(csr) },
  })
}

let free: RoleEntry | undefined

/** A role that allows everything, with what a new role has otherwise. */
function anything(): RoleEntry {
  if (free) return free
  const decoded = decode(roleFields, {
    name: 'any',
    key_type: 'any',
    allow_any_name: true,
    enforce_hostnames: false,
    require_cn: false,
    cn_validations: ['disabled'],
    allowed_uri_sans: ['*'],
    allowed_other_sans: ['*'],
    allowed_serial_numbers: ['*'],
    allowed_user_ids: ['*'],
    server_flag: false,
    client_flag: false,
  })
  if (!decoded.ok) throw new Error(decoded.message)
  return (free = roleEntry(decoded.value))
}

async function signed(asked: {
  mount: Mount
  data: Data<typeof leafFields>
  role: Readonly<RoleEntry>
  csr: ReadRequest
  issuer: string
  verbatim: LeafOrder['verbatim']
}): Promise<Reply> {
  const { mount, data, role, csr, verbatim: asItIs } = asked
  const format = checkedFormat(data.format)
  const signer = await signerFor(mount, asked.issuer, 'issuing-certificates')
  const order = await orderFor({ mount, role, data, signer, names: askedNames(role, data, csr) })
  const made = await makeLeaf({ ...order, spki: csr.spki, ...(asItIs && { verbatim: asItIs }) })
  await keep(mount, role, order, made)
  const chain = await shownChain(mount, signer, data.remove_roots_from_chain)
  return replyOf(mount, role, order, made, leafData({ order, made, chain, format }))
}
