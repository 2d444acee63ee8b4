/** All that can be done to the keys of an open seal by those who hold its shares. */
import { createSecretKey } from 'node:crypto'
import { ApiError } from '#sdk/errors.ts'
import type { Rekeying, RekeyOptions, SealKeys } from '#sdk/seal-keys.ts'
import { GenerateRoot } from './generate-root.ts'
import { type OpenSeal, replaceRootKey } from './open-seal.ts'
import { Rekey, type Target } from './rekey.ts'
import { RECOVERY_BACKUP_ENTRY, UNSEAL_BACKUP_ENTRY, writeConfig, writeRecoveryKey } from './stored.ts'

export class KeyChanges implements SealKeys {
  readonly barrier: Rekey
  readonly rootGeneration: GenerateRoot
  readonly #recovery: Rekey
  readonly #seal: OpenSeal

  constructor(seal: OpenSeal) {
    this.#seal = seal
    this.barrier = new Rekey(seal, seal.auto ? rootKeyTarget(seal) : unsealKeyTarget(seal))
    this.#recovery = new Rekey(seal, recoveryTarget(seal))
    this.rootGeneration = new GenerateRoot(seal)
  }

  recovery(): Rekeying {
    this.#seal.ring()
    if (!this.#seal.auto) throw new ApiError('invalid_request', 'recovery rekeying not supported')
    return this.#recovery
  }

  async rotateRootKey(): Promise<void> {
    await this.#seal.exclusive(async () => {
      const [config, unsealKey] = [this.#seal.config(), this.#seal.unsealKey()]
      await replaceRootKey(this.#seal, { config, unsealKey })
    })
  }

  /** On seal: what was given so far is wiped. */
  forget(): void {
    this.barrier.forget()
    this.#recovery.forget()
    this.rootGeneration.forget()
  }
}

/** People unseal: the key their shares make, and with it the root key. */
function unsealKeyTarget(seal: OpenSeal): Target {
  return {
    name: 'barrier',
    backupEntry: UNSEAL_BACKUP_ENTRY,
    withoutShares: false,
    fit: (options) => options,
    install: async (key, { shares, threshold }, also) => {
      const config = { ...seal.config(), shares, threshold }
      await replaceRootKey(seal, { config, unsealKey: createSecretKey(key), also })
    },
  }
}

/** The server unseals itself: a new root key, with the consent of those who hold the recovery key. */
function rootKeyTarget(seal: OpenSeal): Target {
  return {
    name: 'barrier',
    backupEntry: UNSEAL_BACKUP_ENTRY,
    withoutShares: true,
    fit: (options: RekeyOptions) => {
      const problem =
        (options.pgpKeys.length > 0 && 'PGP key encryption not supported when using stored keys') ||
        (options.backup && 'key backup not supported when using stored keys') ||
        (options.requireVerification &&
          'requiring verification not supported when rekeying the barrier key with recovery keys')
      if (problem) throw new ApiError('invalid_request', problem)
      return { ...options, shares: 1, threshold: 1 }
    },
    install: async (_, __, also) => await replaceRootKey(seal, { config: seal.config(), unsealKey: undefined, also }),
  }
}

function recoveryTarget(seal: OpenSeal): Target {
  return {
    name: 'recovery',
    backupEntry: RECOVERY_BACKUP_ENTRY,
    withoutShares: false,
    fit: (options) => options,
    install: async (key, { shares, threshold }, also) => {
      const config = { ...seal.config(), recovery_shares: shares, recovery_threshold: threshold }
      const { rootKey } = seal.ring()
      await seal.driver.transact(async (transaction) => {
        writeConfig(transaction, config)
        writeRecoveryKey(transaction, rootKey, key)
        also(transaction)
      })
      seal.took(config, undefined)
    },
  }
}
