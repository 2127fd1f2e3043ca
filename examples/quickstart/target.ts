/** A small web server to stand behind the load balancer: says who it is and what it was sent. `node target.ts PORT` */

import { createServer } from 'node:http'

const port = Number(process.argv[2])

const server = createServer((request, response) => {
  if (request.url === '/health') {
    response.end('ok\n')
    return
  }
  response.setHeader('Content-Type', 'text/plain')
  response.write(`Hello from target 127.0.0.1:${port}.\n\nWhat the load balancer sent me:\n`)
  response.write(`${request.method} ${request.url} HTTP/${request.httpVersion}\n`)
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    response.write(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}\n`)
  }
  response.end()
})

// Longer than the load balancer's idle timeout: a target that closes first is the commonest cause of 502s.
server.keepAliveTimeout = 75_000
server.listen(port, '127.0.0.1')
process.on('disconnect', () => process.exit())
