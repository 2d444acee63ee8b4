/** Distinguished names (RFC 5280 §4.1.2.4), in the order and grouping that the Vault API's certificates have. Pure. */
import { oid, printable, sequence, set, utf8 } from '#lib/der.ts'

export interface Subject {
  commonName: string
  serialNumber: string
  country: readonly string[]
  organization: readonly string[]
  ou: readonly string[]
  locality: readonly string[]
  province: readonly string[]
  streetAddress: readonly string[]
  postalCode: readonly string[]
  userIds: readonly string[]
}

export const emptySubject: Subject = {
  commonName: '',
  serialNumber: '',
  country: [],
  organization: [],
  ou: [],
  locality: [],
  province: [],
  streetAddress: [],
  postalCode: [],
  userIds: [],
}

/** Attribute types (RFC 4519 and RFC 5280, appendix A). */
const attributes = {
  country: '2.5.4.6',
  organization: '2.5.4.10',
  ou: '2.5.4.11',
  locality: '2.5.4.7',
  province: '2.5.4.8',
  streetAddress: '2.5.4.9',
  postalCode: '2.5.4.17',
  commonName: '2.5.4.3',
  serialNumber: '2.5.4.5',
  userIds: '0.9.2342.19200300.100.1.1',
} as const

const lists = ['country', 'organization', 'ou', 'locality', 'province', 'streetAddress', 'postalCode'] as const

/** Several values of one kind stand in one set; user ids each in a set of its own. */
export function encodeName(subject: Subject): Buffer {
  const sets: Buffer[] = []
  for (const kind of lists) {
    const values = subject[kind].filter((value) => value !== '')
    if (values.length > 0) sets.push(set(...values.map((value) => attribute(attributes[kind], value))))
  }
  for (const kind of ['commonName', 'serialNumber'] as const) {
    if (subject[kind] !== '') sets.push(set(attribute(attributes[kind], subject[kind])))
  }
  for (const id of subject.userIds) sets.push(set(sequence(oid(attributes.userIds), utf8(id))))
  return sequence(...sets)
}

function attribute(type: string, value: string): Buffer {
  return sequence(oid(type), /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value) ? printable(value) : utf8(value))
}

/** What of a name that was read has a place in a Subject; the rest is left out. */
export function subjectOf(parts: readonly { type: string; value: string }[]): Subject {
  const all = (type: string) => parts.filter((part) => part.type === type).map((part) => part.value)
  return {
    commonName: all(attributes.commonName).at(-1) ?? '',
    serialNumber: all(attributes.serialNumber).at(-1) ?? '',
    country: all(attributes.country),
    organization: all(attributes.organization),
    ou: all(attributes.ou),
    locality: all(attributes.locality),
    province: all(attributes.province),
    streetAddress: all(attributes.streetAddress),
    postalCode: all(attributes.postalCode),
    userIds: all(attributes.userIds),
  }
}
