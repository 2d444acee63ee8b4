/** A stand-in for AWS as a process of its own, which the vendor's SDK talks to. For tests only. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { CreateAliasCommand, CreateKeyCommand, KMSClient, UpdateAliasCommand } from '@aws-sdk/client-kms'
import { installMoto } from '#test/clients/installed.ts'
import { until } from '#test/config/program.ts'
import { freePort } from '#test/port.ts'

export const ALIAS = 'alias/strongroom'

export async function startMoto() {
  const program = await installMoto()
  const port = await freePort()
  const child = spawn(program, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' })
  const endpoint = `http://127.0.0.1:${port}`
  const answers = async () =>
    await fetch(`${endpoint}/moto-api/data.json`).then(
      ({ ok }) => (ok ? true : undefined),
      () => undefined,
    )
  try {
    await until('moto to answer', answers)
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  }
  const credentials = { accessKeyId: 'AKIAIOSFODNN7TESTER', secretAccessKey: 'of-nobody' }
  const client = new KMSClient({ region: 'eu-central-1', endpoint, credentials })
  const makeKey = async () => (await client.send(new CreateKeyCommand({}))).KeyMetadata!
  const first = await makeKey()
  await client.send(new CreateAliasCommand({ AliasName: ALIAS, TargetKeyId: first.KeyId! }))
  return {
    port,
    client,
    first,
    makeKey,
    pointAliasTo: async (keyId: string) =>
      await client.send(new UpdateAliasCommand({ AliasName: ALIAS, TargetKeyId: keyId })),
    /** From here on calls need credentials that the stand-in gave out; or not. */
    async checkCredentials(check: boolean) {
      const calls = check ? '0' : 'Infinity'
      const answer = await fetch(`${endpoint}/moto-api/reset-auth`, { method: 'POST', body: calls })
      assert.equal(answer.status, 200)
    },
    async [Symbol.asyncDispose]() {
      client.destroy()
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}
