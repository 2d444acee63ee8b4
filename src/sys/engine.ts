/** The system's own paths, `sys/…`: thin over core, one file a group. */
import type { AuditDevices } from '#core/audit/devices.ts'
import type { Passwords } from '#core/passwords/passwords.ts'
import type { Settings } from '#core/settings/settings.ts'
import type { Wrapping } from '#core/wrapping.ts'
import type { Engine } from '#sdk/engine.ts'
import { auditPaths } from './audit.ts'
import { type GenerateRootServices, generateRootPaths } from './generate-root.ts'
import { type HaStatusServices, haStatusPaths } from './ha-status.ts'
import { type CapabilityServices, capabilityPaths } from './capabilities.ts'
import { counterPaths } from './counters.ts'
import { hostInfoPath } from './host-info.ts'
import { type InFlightServices, inFlightPath } from './in-flight.ts'
import { type InternalServices, internalPaths } from './internal.ts'
import { type LockoutServices, lockedUserPaths } from './locked-users.ts'
import { irrevocablePaths } from './irrevocable.ts'
import { type LeaseServices, leasePaths } from './leases.ts'
import { type LogServices, loggingPaths } from './logging.ts'
import { type MetricsServices, metricsPath } from './metrics.ts'
import { type MountServices, mountPaths } from './mounts.ts'
import { passwordPolicyPaths } from './password-policies.ts'
import { type PluginServices, pluginPaths } from './plugins.ts'
import { policyPaths } from './policies.ts'
import { type RekeyServices, rekeyPaths } from './rekey.ts'
import { type QuotaServices, quotaPaths } from './quotas.ts'
import { remountPaths } from './remount.ts'
import { type StateServices, statePaths } from './state.ts'
import { type SealServices, sealPaths } from './seal.ts'
import { settingPaths } from './settings.ts'
import { toolPaths } from './tools.ts'
import { wrappingPaths } from './wrapping.ts'

export interface SystemServices
  extends
    MountServices,
    CapabilityServices,
    InternalServices,
    SealServices,
    LeaseServices,
    LockoutServices,
    RekeyServices,
    GenerateRootServices,
    HaStatusServices,
    LogServices,
    StateServices,
    PluginServices,
    QuotaServices,
    MetricsServices,
    InFlightServices {
  auditDevices: AuditDevices
  wrapping: Wrapping
  passwords: Passwords
  settings: Settings
}

export function systemEngine(services: SystemServices): Engine {
  return {
    name: 'system',
    about: 'Mounts, policies, audit devices, leases, seal: everything about the server itself.',
    paths: () => [
      ...mountPaths(services, 'secret'),
      ...mountPaths(services, 'auth'),
      ...remountPaths(services),
      ...policyPaths(services.policies),
      ...passwordPolicyPaths(services.passwords),
      ...toolPaths(),
      ...settingPaths(services.settings),
      ...statePaths(services),
      ...loggingPaths(services),
      ...pluginPaths(services),
      ...capabilityPaths(services),
      ...internalPaths(services),
      ...wrappingPaths(services.wrapping),
      ...auditPaths(services.auditDevices),
      ...leasePaths(services),
      ...irrevocablePaths(services),
      ...lockedUserPaths(services),
      ...quotaPaths(services),
      metricsPath(services),
      inFlightPath(services),
      hostInfoPath(services),
      ...counterPaths(services),
      ...sealPaths(services),
      ...rekeyPaths(services),
      ...generateRootPaths(services),
      ...haStatusPaths(services),
    ],
  }
}
