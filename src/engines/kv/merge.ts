/** JSON merge patch (RFC 7396 §2) for objects. Names such as `__proto__` are names like any other. Pure. */
import { isObject } from '#sdk/schema.ts'

export function mergePatch(target: Record<string, unknown>, patch: Record<string, unknown>): Record<string, unknown> {
  const merged = new Map(Object.entries(target))
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name)
    else merged.set(name, mergeValue(merged.get(name), value))
  }
  return Object.fromEntries(merged)
}

function mergeValue(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  return mergePatch(isObject(target) ? target : {}, patch)
}
