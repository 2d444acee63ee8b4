import { drivers } from '#storage/registry.ts'
import { temporaryFolder } from '#test/storage/folder.ts'
import { storageSuite } from '#test/storage/suite.ts'

storageSuite('sqlite', async () => {
  const folder = temporaryFolder()
  const { open } = await drivers.sqlite()
  let driver = await open({ path: folder.path })
  return {
    driver,
    reopen: async () => {
      await driver.close()
      driver = await open({ path: folder.path })
      return driver
    },
    dispose: async () => {
      await driver.close()
      folder.remove()
    },
  }
})
