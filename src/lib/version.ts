/** What this program calls itself. */
export const productVersion = '0.1.0'

/** The level of the Vault API that is met, which clients choose by; the build part says who is speaking. */
export const apiVersion = `1.21.0+strongroom.${productVersion}`

export const buildDate = '2026-11-24T00:00:00Z'

/** Of engines that ship with the program. */
export const builtinPluginVersion = `v${productVersion}+builtin.strongroom`
