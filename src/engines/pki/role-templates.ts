/** `{{identity.entity.name}}.example.com`: names that a role allows by who asks. */
import type { Caller, Mount } from '#sdk/engine.ts'
import type { RoleEntry } from './role.ts'

/** The role as it is for this caller. What cannot be filled in for them allows nothing. */
export async function roleFor(
  { templates }: Mount,
  role: Readonly<RoleEntry>,
  caller: Caller | undefined,
): Promise<Readonly<RoleEntry>> {
  if (!role.allowed_domains_template && !role.allowed_uri_sans_template) return role
  const filled = async (texts: readonly string[]): Promise<string[]> => {
    const each = texts.map(async (text) =>
      text.includes('{{') ? await templates?.fill(text, caller?.entityId ?? '') : text,
    )
    return (await Promise.all(each)).filter((text) => text !== undefined)
  }
  return {
    ...role,
    allowed_domains: role.allowed_domains_template ? await filled(role.allowed_domains) : role.allowed_domains,
    allowed_uri_sans: role.allowed_uri_sans_template ? await filled(role.allowed_uri_sans) : role.allowed_uri_sans,
  }
}
