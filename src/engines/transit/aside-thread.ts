/** The thread of `aside.ts`. Keys come as handles, not as bytes. */
import { parentPort } from 'node:worker_threads'
import type { Answer, Question, Task } from './aside.ts'
import { signDigest, verifyDigest } from './ecdsa-digest.ts'
import { signatureHash } from './hashes.ts'
import { signPkcs1, signPss } from './rsa-digest.ts'
import { type EcdsaType, keyTypes } from './types.ts'

const port = parentPort!

port.on('message', ({ number, task }: Question) => {
  let answer: Answer
  try {
    answer = { number, result: perform(task) }
  } catch {
    // Without the error: nobody there could do more with it than say that it failed.
    answer = { number, failed: true }
  }
  port.postMessage(answer)
})

function perform(task: Task): Uint8Array | boolean | undefined {
  const digest = Buffer.from(task.digest)
  switch (task.kind) {
    case 'rsa-sign': {
      const hash = task.hash === undefined ? undefined : signatureHash(task.hash)!
      return task.scheme === 'pkcs1v15'
        ? signPkcs1(task.key, digest, hash)
        : signPss(task.key, digest, hash!, task.saltLength)
    }
    case 'ecdsa-sign':
      return signDigest(keyTypes[task.type] as EcdsaType, task.key, digest)
    case 'ecdsa-verify':
      return verifyDigest(keyTypes[task.type] as EcdsaType, task.key, digest, Buffer.from(task.signature))
  }
}
