/** What the tests of userpass share: a server with the method at auth/userpass/. */
import assert from 'node:assert/strict'
import { type Answer, type Options, startServer, type TestServer } from '#test/server.ts'

export const PASSWORD = 'correct horse'

export async function startUserpass(options: Options = {}): Promise<TestServer> {
  const server = await startServer({ at: '2026-01-01T00:00:00Z', ...options })
  assert.equal((await server.write('sys/auth/userpass', { type: 'userpass' })).status, 204)
  return server
}

export async function makeUser(server: TestServer, name: string, fields: Record<string, unknown> = {}): Promise<void> {
  const made = await server.write(`auth/userpass/users/${name}`, { password: PASSWORD, ...fields })
  assert.equal(made.status, 204, made.text)
}

export function logIn(server: TestServer, name: string, password?: string): Promise<Answer> {
  return server.write(`auth/userpass/login/${name}`, { password }, null)
}

export async function tokenOf(server: TestServer, name: string, password = PASSWORD): Promise<string> {
  const answer = await logIn(server, name, password)
  assert.equal(answer.status, 200, answer.text)
  return answer.body.auth.client_token
}

export function assertRefused(answer: Answer, status: number, message: string): void {
  assert.deepEqual([answer.status, answer.body], [status, { errors: [message] }])
}

export const WRONG = 'invalid username or password'
