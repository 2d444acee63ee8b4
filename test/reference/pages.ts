/** All pages of the reference, as the code says them. */
import { apiPages } from './api.ts'
import { cliPage } from './cli.ts'
import { configurationPage } from './configuration.ts'
import type { Page } from './page.ts'

export async function allPages(): Promise<Page[]> {
  return [...(await apiPages()), await cliPage(), configurationPage()]
}
