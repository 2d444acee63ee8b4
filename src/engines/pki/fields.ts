/** Fields that several paths share. */
import type { Fields } from '#sdk/schema.ts'

export const issuerRef = { type: 'string', about: 'Issuer: `default`, a name or an id.', default: 'default' } as const

export const formatFields = {
  format: {
    type: 'string',
    about: 'pem, der (base64) or pem_bundle (key, certificate and chain in one).',
    default: 'pem',
  },
  private_key_format: { type: 'string', about: 'der: as `format` has it; pkcs8: always PKCS #8.', default: 'der' },
} as const satisfies Fields

/** What a certificate is asked to be called. */
export const nameFields = {
  common_name: { type: 'string', about: 'Common name; also an alternative name unless excluded.', default: '' },
  alt_names: { type: 'strings', about: 'DNS names and mail addresses.' },
  ip_sans: { type: 'strings', about: 'IP addresses.' },
  uri_sans: { type: 'strings', about: 'URIs.' },
  other_sans: { type: 'strings', about: 'Other names, as `<oid>;UTF8:<text>`.' },
  serial_number: {
    type: 'string',
    about: 'serialNumber of the subject; not the serial of the certificate.',
    default: '',
  },
  exclude_cn_from_sans: { type: 'boolean', about: 'The common name is no alternative name.', default: false },
} as const satisfies Fields

export const timeFields = {
  ttl: { type: 'duration', about: 'How long it is valid.', min: 0 },
  not_after: { type: 'string', about: 'Until when it is valid, as 2030-01-02T03:04:05Z.' },
  not_before: { type: 'string', about: 'From when it is valid, as 2030-01-02T03:04:05Z.' },
} as const satisfies Fields

/** The parts of a name that roles give, and CAs. */
export const subjectFields = {
  ou: { type: 'strings', about: 'OU of the subject.' },
  organization: { type: 'strings', about: 'O of the subject.' },
  country: { type: 'strings', about: 'C of the subject.' },
  locality: { type: 'strings', about: 'L of the subject.' },
  province: { type: 'strings', about: 'ST of the subject.' },
  street_address: { type: 'strings', about: 'Street of the subject.' },
  postal_code: { type: 'strings', about: 'Postal code of the subject.' },
} as const satisfies Fields

export const keyUsageFields = {
  key_usage: {
    type: 'strings',
    about: 'Key usages, such as DigitalSignature.',
    default: ['DigitalSignature', 'KeyAgreement', 'KeyEncipherment'],
  },
  ext_key_usage: { type: 'strings', about: 'Extended key usages by name, such as TimeStamping.' },
  ext_key_usage_oids: { type: 'strings', about: 'Extended key usages by object identifier.' },
} as const satisfies Fields

export const signatureFields = {
  signature_bits: { type: 'integer', about: 'Bits of the hash that is signed; 0: what fits the key.', default: 0 },
  use_pss: { type: 'boolean', about: 'RSA signatures are PSS.', default: false },
} as const satisfies Fields

/** A request for a leaf certificate. */
export const leafFields = {
  ...nameFields,
  ...timeFields,
  ...formatFields,
  user_ids: { type: 'strings', about: 'User ids of the subject.' },
  remove_roots_from_chain: { type: 'boolean', about: 'The chain in the answer ends below the root.', default: false },
} as const satisfies Fields
