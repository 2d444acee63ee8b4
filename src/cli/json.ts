/**
 * JSON with numbers as they came: a KV secret may hold `1.50` or an account number of twenty digits, which JavaScript's
 * own numbers would change. Such numbers are kept as text, in a form that `JSON.stringify` writes out unchanged. Pure.
 */
import { exactNumberText, restoreExact } from '#lib/exact-json.ts'

/** Texts without long, fractional or exponential numbers need no second look. */
const mayChange = /\d{16}|\d\.\d|\d[eE]/

export function parseExact(text: string): unknown {
  return mayChange.test(text) ? restoreExact({ text }) : JSON.parse(text)
}

/** The text of a number, kept or not; undefined for all else. */
export function exactNumber(value: unknown): string | undefined {
  return typeof value === 'number' ? String(value) : exactNumberText(value)
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && exactNumberText(value) === undefined
}
