/** Ways of unsealing without people, by the name they have in the configuration. */
export const autoUnseals = {
  awskms: () => import('./awskms/unseal.ts'),
  static: () => import('./static/unseal.ts'),
}

export type AutoUnsealName = keyof typeof autoUnseals
