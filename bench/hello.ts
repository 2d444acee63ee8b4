/** The yardstick: a bare server on the same runtime that answers as many bytes as the case it stands beside. */
import { createServer } from 'node:http'

const bytes = Number(process.argv[2])
const body = Buffer.alloc(bytes, 'x')
const server = createServer((request, response) => {
  request.resume()
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes }).end(body)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address && typeof address === 'object') process.send?.(address.port)
})
process.on('disconnect', () => process.exit(0))
