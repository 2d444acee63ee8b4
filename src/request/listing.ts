/**
 * What a policy says about listings: how many entries one may have (`pagination_limit`), and that names are only shown of
 * what the caller may see (`list_scan_response_keys_filter_path`).
 */
import { aclOf } from '#core/access.ts'
import type { Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { isObject } from '#sdk/schema.ts'
import type { Core } from './core.ts'
import { parseTemplate } from './key-filter.ts'
import type { Reserved } from './reserve.ts'
import { seesKey } from './rights.ts'

export async function filterListing(core: Core, reserved: Reserved, reply: Reply): Promise<Reply> {
  const { verdict, token, path } = reserved
  const keys = reply.data?.['keys']
  if (!Array.isArray(keys) || !token || !verdict) return reply
  const limit = verdict.paginationLimit ?? 0
  // An engine without paging has told all: what is beyond the limit is not for this caller.
  const some = limit > 0 && keys.length > limit ? keys.slice(0, limit) : keys
  if (verdict.keysFilterPath === undefined) return some === keys ? reply : withKeys(reply, some)
  const template = parseTemplate(verdict.keysFilterPath)
  if (!template) {
    const reason =
      'list_scan_response_keys_filter_path is not understood: use {{ .path }}, {{ .key }} and {{ .path | replace "a" "b" }}'
    throw new ApiError('permission_denied', 'permission denied', { reason })
  }
  const acl = await aclOf(core, token)
  const seen = some.filter((key: string) => seesKey(acl, template, path, key))
  return withKeys(reply, seen)
}

function withKeys(reply: Reply, keys: unknown[]): Reply {
  const { data = {} } = reply
  const all = data['keys']
  const info = data['key_info']
  const shown = new Set(keys)
  return {
    ...reply,
    data: {
      ...data,
      keys,
      ...(isObject(info) && { key_info: Object.fromEntries(Object.entries(info).filter(([key]) => shown.has(key))) }),
      // The old listing of policies tells the same names twice.
      ...(data['policies'] === all && { policies: keys }),
    },
  }
}
