/** What a caller may do in the mount that is asked, for handlers that tell of more than the one thing they were asked for. */
import type { Acl } from '#core/policies/acl.ts'
import type { Rights } from '#sdk/engine.ts'
import { isGranted } from './approve.ts'
import { parseTemplate, type Template } from './key-filter.ts'

/** For one request: what was found once is kept until its end. */
export function rightsOf(acl: Acl, route: string): Rights {
  const folders = new Map<string, (name: string) => boolean>()
  const may: Rights['may'] = (operation, path) =>
    isGranted(acl.check({ operation, path: route + path, body: {}, wrapTtlSeconds: undefined }))
  const filterOf = (folder: string): ((name: string) => boolean) => {
    const path = route + folder
    const verdict = acl.check({ operation: 'list', path, body: {}, wrapTtlSeconds: undefined })
    if (!isGranted(verdict)) return nothing
    if (verdict.keysFilterPath === undefined) return everything
    const template = parseTemplate(verdict.keysFilterPath)
    return template ? (name) => seesKey(acl, template, path, name) : nothing
  }
  return {
    may,
    maySudo: (path) =>
      acl.check({ operation: 'update', path: route + path, body: {}, wrapTtlSeconds: undefined, needsSudo: true }).sudo,
    sees(folder, name) {
      let filter = folders.get(folder)
      if (!filter) {
        if (folders.size >= MAX_FOLDERS) folders.clear()
        folders.set(folder, (filter = filterOf(folder)))
      }
      return filter(name)
    },
  }
}

const MAX_FOLDERS = 1000
const nothing = (): boolean => false
const everything = (): boolean => true

/** Whether a name of a listing is shown where a policy filters it. */
export function seesKey(acl: Acl, template: Template, path: string, name: string): boolean {
  const operation = name.endsWith('/') ? 'list' : 'read'
  return isGranted(acl.check({ operation, path: template(path, name), body: {}, wrapTtlSeconds: undefined }))
}
