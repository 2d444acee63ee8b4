/**
 * Approvals and step-up MFA that a policy asks for. This server cannot yet collect them, so a path that asks for one is
 * refused: a policy's word must never be less than what it says.
 */
import type { Verdict } from '#core/policies/verdict.ts'
import { ApiError } from '#sdk/errors.ts'
import type { Allowed } from './authorize.ts'

declare const mark: unique symbol
export interface Approved extends Allowed {
  readonly [mark]: true
}

export function approve(allowed: Allowed): Approved {
  const verdict = allowed.verdict
  if (verdict?.controlGroup)
    throw unmet('the policy asks for an approval (control_group), which this version cannot collect')
  if (verdict?.mfaMethods && verdict.mfaMethods.length > 0) {
    throw unmet('the policy asks for a second factor (mfa_methods), which this version cannot check')
  }
  return allowed as Approved
}

/** Whether it is allowed as it stands, without an approval or a second factor. */
export function isGranted({ allowed, controlGroup, mfaMethods = [] }: Verdict): boolean {
  return allowed && !controlGroup && mfaMethods.length === 0
}

function unmet(message: string): ApiError {
  return new ApiError('permission_denied', message, { reason: message })
}
