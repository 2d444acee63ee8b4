/** All pages of the reference, as the code says them. */
import { apiPages } from './api.ts'
import { cliPage } from './cli.ts'
import { configurationPage } from './configuration.ts'
import type { Page } from './page.ts'

const index: Page = {
  file: 'docs/reference/README.md',
  text: `# Reference

Made from the code; a test holds it equal. \`bin/node test/reference/renew.ts\` writes it anew.

- [The HTTP API](api/README.md): every path with its operations and fields.
- [The command line](cli.md): every command and flag.
- [The configuration](configuration.md): every key.
- [Errors](../errors.md), [metrics](../metrics.md).
`,
}

export async function allPages(): Promise<Page[]> {
  return [index, ...(await apiPages()), await cliPage(), configurationPage()]
}
