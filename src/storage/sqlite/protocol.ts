/** What the threads of one store say to each other, over a port for each reader. */
import type { MessagePort } from 'node:worker_threads'
import type { ReadSet } from '#storage/reads.ts'
import type { Try } from '#storage/transact.ts'

export const WRITER_GONE = 'the writer of the store has stopped: restart the server'

/** Given to the writer's thread when it starts. */
export interface WriterStart {
  folder: string
  shared: SharedArrayBuffer
}

/** To the writer from the thread that started it. */
export type OwnerRequest = { kind: 'attach'; port: MessagePort } | { kind: 'close' }

/** From the writer to the thread that started it. */
export type OwnerReply = { kind: 'ready' } | { kind: 'refused'; message: string }

export interface CommitRequest {
  id: number
  /** The sequence before the first read. */
  since: number
  attempt: Try
  reads: ReadSet
  keys: string[]
  /** 0 deletes. */
  versions: number[]
  /** Where in `values` each value ends: one block of bytes is cheaper to send than many. */
  ends: number[]
  values: Uint8Array<ArrayBuffer>
}

/** To the writer from a reader. */
export type ReaderRequest = CommitRequest[]

/**
 * From the writer to a reader. `published` goes to every reader before any commit in it is answered, and before the shared
 * sequence says so: whoever sees the new sequence finds the message.
 */
export type ReaderReply =
  | { kind: 'attached'; sequence: number; trouble: string | undefined }
  | { kind: 'published'; sequence: number; keys: string[]; versions: number[] }
  /** For each id the conflicting key or prefix, or undefined: it is committed. */
  | { kind: 'answered'; ids: number[]; conflicts: (string | undefined)[] }
  | { kind: 'failed'; ids: number[]; message: string; reason: string }
  | { kind: 'trouble'; text: string | undefined }

/**
 * Numbers that all threads of a store see. The sequence counts published commits (it may wrap, so compare with `behind`);
 * the version is the last one given out.
 */
export class Shared {
  readonly #sequence: Int32Array
  readonly #version: BigInt64Array

  static bytes = 16

  constructor(buffer: SharedArrayBuffer) {
    this.#sequence = new Int32Array(buffer, 0, 1)
    this.#version = new BigInt64Array(buffer, 8, 1)
  }

  sequence(): number {
    return Atomics.load(this.#sequence, 0)
  }

  publish(sequence: number): void {
    Atomics.store(this.#sequence, 0, sequence)
  }

  nextVersion(): number {
    return Number(Atomics.add(this.#version, 0, 1n)) + 1
  }

  startVersions(last: number): void {
    Atomics.store(this.#version, 0, BigInt(last))
  }
}

export function nextSequence(sequence: number): number {
  return (sequence + 1) | 0
}

/** Whether `sequence` comes before `other`. */
export function behind(sequence: number, other: number): boolean {
  return ((other - sequence) | 0) > 0
}
