/** The server half of bench/http.ts: either node:http bare or a listener of ours before a handler that does nothing. */
import { createServer } from 'node:http'
import { createListener } from '#http/server.ts'

const [kind, port] = process.argv.slice(2)
const answer =
  '{"request_id":"5f8a2f0e-5f5d-4f7a-8a7e-2b1a1d1f2c3d","lease_id":"","renewable":false,"lease_duration":0,"data":{"data":{"password":"correct horse battery staple"}},"wrap_info":null,"warnings":null,"auth":null}'

if (kind === 'bare') {
  const headers = ['Content-Type', 'application/json', 'Content-Length', String(answer.length + 1)]
  const body = `${answer}\n`
  createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, headers)
      response.end(body)
      return
    }
    // A body is read and parsed, since nothing useful can be done with one otherwise.
    let text = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (text += chunk))
    request.on('end', () => {
      JSON.parse(text)
      response.writeHead(200, headers)
      response.end(body)
    })
  }).listen(Number(port), '127.0.0.1')
} else {
  const outgoing = { status: 200, contentType: 'application/json', body: answer }
  await createListener(async () => outgoing, { address: `127.0.0.1:${port}` }).listen()
}
process.on('message', () => process.send?.(process.cpuUsage()))
process.on('SIGINT', () => process.exit())
process.on('disconnect', () => process.exit())
process.send?.('ready')
