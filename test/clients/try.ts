import { startDev } from '#test/config/program.ts'
import { runPython, runGo } from './installed.ts'
import { teamPolicy } from './policy.ts'
await using server = await startDev()
const args = [server.address, server.root, server.unsealKey]
try { console.log(JSON.stringify(process.argv[2] === 'go' ? await runGo(args) : await runPython('everyday.py', [...args, teamPolicy]), null, 1)) } catch (e: any) { console.log(e.stderr ?? e) }
console.log(server.program.output)
