import { drivers } from '#storage/registry.ts'
import { storageSuite } from '#test/storage/suite.ts'

storageSuite('memory', async () => {
  const driver = await (await drivers.memory()).open({})
  return { driver, dispose: () => driver.close() }
})
