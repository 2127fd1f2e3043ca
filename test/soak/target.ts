/** A target that says who it is, for as long as it lives: `node target.ts PORT`. Ends with its parent. */

import { createServer } from 'node:http'

const port = Number(process.argv[2])
const server = createServer((_, response) => response.end(String(port)))
server.keepAliveTimeout = 75_000
server.listen(port, '127.0.0.1', () => process.send?.('listening'))
process.on('disconnect', () => process.exit())
