/** `sys/policies/password`: by which rules engines make passwords for other systems. */
import type { Passwords } from '#core/passwords/passwords.ts'
import { type Call, endpoint, type Path, type Reply } from '#sdk/engine.ts'
import { ApiError } from '#sdk/errors.ts'
import { pageFields } from '#sdk/listing.ts'
import type { Fields } from '#sdk/schema.ts'
import { plainText } from './policies.ts'

const name = { type: 'string', about: 'Name of the password policy.', required: true } as const
const writeFields = {
  name,
  policy: { type: 'string', about: 'The password policy in HCL or JSON, plain or base64.' },
} satisfies Fields

export function passwordPolicyPaths(passwords: Passwords): Path[] {
  return [
    {
      pattern: 'policies/password',
      operations: {
        list: endpoint('Names of all password policies.', pageFields, async ({ data }) => ({
          data: { keys: await passwords.list(data) },
        })),
      },
    },
    {
      pattern: 'policies/password/:name',
      operations: {
        read: endpoint('Read a password policy.', { name }, async ({ data }) => ({
          data: { policy: await passwords.read(data.name) },
        })),
        update: endpoint('Write a password policy.', writeFields, (call) => write(passwords, call)),
        delete: endpoint('Delete a password policy.', { name }, async ({ data }) => {
          await passwords.delete(data.name)
          return {}
        }),
      },
    },
    {
      pattern: 'policies/password/:name/generate',
      operations: {
        read: endpoint('Make a password by the policy.', { name }, async ({ data }) => ({
          data: { password: await passwords.generate(data.name) },
        })),
      },
    },
  ]
}

async function write(passwords: Passwords, { data }: Call<typeof writeFields>): Promise<Reply> {
  if (!data.policy) throw new ApiError('invalid_request', 'missing policy')
  await passwords.write(data.name, plainText(data.policy))
  return {}
}
