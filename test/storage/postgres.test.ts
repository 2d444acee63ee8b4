import { after } from 'node:test'
import { drivers } from '#storage/registry.ts'
import { startDatabase } from '#test/postgres/server.ts'
import { storageSuite } from '#test/storage/suite.ts'

const database = await startDatabase()
after(() => database.dispose())
let tables = 0

storageSuite('postgres', async () => {
  const { open } = await drivers.postgres()
  tables += 1
  // A busy machine may stand still for a second: what happens then is for test/postgres/nodes.test.ts to tell.
  const options = { connection_url: database.url, table: `t${tables}`, max_staleness: '60s' }
  let driver = await open(options)
  return {
    driver,
    reopen: async () => {
      await driver.close()
      driver = await open(options)
      return driver
    },
    dispose: () => driver.close(),
  }
})
