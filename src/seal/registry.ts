/** Ways of unsealing without people, by the name they have in the configuration. */
export const autoUnseals = {
  awskms: () => import('./awskms/unseal.ts'),
  pkcs11: () => import('./pkcs11/unseal.ts'),
  static: () => import('./static/unseal.ts'),
  transit: () => import('./transit/unseal.ts'),
}

export type AutoUnsealName = keyof typeof autoUnseals
