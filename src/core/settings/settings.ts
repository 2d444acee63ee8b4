/** What operators set about the server as a whole, kept in the store. */
import type { Storage } from '#sdk/storage.ts'
import { AuditedHeaders } from './audited-headers.ts'
import { Cors } from './cors.ts'
import { UiHeaders } from './ui-headers.ts'
import { Versions } from './versions.ts'

export class Settings {
  readonly cors: Cors
  readonly uiHeaders: UiHeaders
  readonly auditedHeaders: AuditedHeaders
  readonly versions: Versions

  /** @param fixedHeaders  lower-case names of headers that the configuration file has set */
  constructor(storage: Storage, fixedHeaders: ReadonlySet<string> = new Set()) {
    this.cors = new Cors(storage)
    this.uiHeaders = new UiHeaders(storage, fixedHeaders)
    this.auditedHeaders = new AuditedHeaders(storage)
    this.versions = new Versions(storage)
  }
}
