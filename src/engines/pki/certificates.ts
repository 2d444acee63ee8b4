/**
 * The certificates that were issued here.
 *
 * Storage below the mount: cert/<serial> → CertificateEntry; cert-end/<ms>/<serial> → {}, in the order in which they end, so
 * that tidying reads only what is over. Serials are plain hex.
 */
import type { StorageReads, StorageTransaction } from '#sdk/storage.ts'

export interface CertificateEntry {
  /** Base64 of DER. */
  certificate: string
  /** Empty when it is not known any more. */
  issuer_id: string
  /** The revocation list it belongs on. */
  crl_id: string
  not_after_ms: number
}

export function putCertificate(transaction: StorageTransaction, serial: string, entry: CertificateEntry): void {
  transaction.put<CertificateEntry>(`cert/${serial}`, entry)
  transaction.put(endKey(serial, entry.not_after_ms), {})
}

export function dropCertificate(transaction: StorageTransaction, serial: string, notAfterMs: number): void {
  transaction.delete(`cert/${serial}`)
  transaction.delete(endKey(serial, notAfterMs))
}

export async function certificateOf(
  storage: Pick<StorageReads, 'get'>,
  serial: string,
): Promise<CertificateEntry | undefined> {
  return await storage.get<CertificateEntry>(`cert/${serial}`)
}

export const ENDS = 'cert-end/'

/** Digits enough until the end of the year 9999. */
function endKey(serial: string, notAfterMs: number): string {
  return `${ENDS}${String(notAfterMs).padStart(15, '0')}/${serial}`
}

export function parseEndKey(key: string): { serial: string; notAfterMs: number } {
  const [ms = '', serial = ''] = key.slice(ENDS.length).split('/')
  return { serial, notAfterMs: Number(ms) }
}
