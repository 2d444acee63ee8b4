/**
 * How revocation lists and OCSP answers are made.
 *
 * Storage: config/crl → CrlSettings.
 */
import { parseDuration } from '#lib/duration.ts'
import type { StorageReads } from '#sdk/storage.ts'
import { refuse } from './key-store.ts'

/** As stored and shown: durations in the caller's own words. */
export interface CrlSettings {
  expiry: string
  disable: boolean
  ocsp_disable: boolean
  ocsp_expiry: string
  auto_rebuild: boolean
  auto_rebuild_grace_period: string
  enable_delta: boolean
  delta_rebuild_interval: string
  allow_expired_cert_revocation: boolean
}

export const usualSettings: CrlSettings = {
  expiry: '72h',
  disable: false,
  ocsp_disable: false,
  ocsp_expiry: '1h',
  auto_rebuild: false,
  auto_rebuild_grace_period: '12h',
  enable_delta: false,
  delta_rebuild_interval: '15m',
  allow_expired_cert_revocation: false,
}

export async function crlSettings(storage: Pick<StorageReads, 'getShared'>): Promise<Readonly<CrlSettings>> {
  return (await storage.getShared<CrlSettings>('config/crl')) ?? usualSettings
}

/** A hundred years: what ends later than a date can say is no setting. */
export const MAX_SECONDS = 3_153_600_000

/** @throws ApiError for durations that are none, or do not fit each other */
export function checkCrlSettings(settings: CrlSettings): void {
  for (const name of ['expiry', 'ocsp_expiry', 'auto_rebuild_grace_period', 'delta_rebuild_interval'] as const) {
    const seconds = parseDuration(settings[name])
    if (seconds === undefined || seconds < 0 || seconds > MAX_SECONDS) {
      refuse(`given ${name} could not be decoded: time: invalid duration ${JSON.stringify(settings[name])}`)
    }
  }
  if (settings.enable_delta && !settings.auto_rebuild) {
    refuse('Delta CRLs cannot be enabled when auto rebuilding is disabled as the complete CRL is always regenerated!')
  }
  if (settings.auto_rebuild && secondsOf(settings.auto_rebuild_grace_period) >= secondsOf(settings.expiry)) {
    refuse(
      `CRL auto-rebuilding grace period (${settings.auto_rebuild_grace_period}) must be strictly shorter than CRL expiry (${settings.expiry}) value when auto-rebuilding of CRLs is enabled`,
    )
  }
  if (settings.enable_delta && secondsOf(settings.delta_rebuild_interval) >= secondsOf(settings.expiry)) {
    refuse(
      `CRL delta rebuild window (${settings.delta_rebuild_interval}) must be strictly shorter than CRL expiry (${settings.expiry}) value when delta CRLs are enabled`,
    )
  }
}

/** Of a setting that was checked when it was written. */
export const secondsOf = (text: string): number => parseDuration(text) ?? 0
