/**
 * Answers that the load balancer makes itself: error pages, redirects, fixed responses. Bytes are those of captured
 * answers: header order, CRLF pages, and the padding for browsers that hide short error pages.
 */

import { Field } from '../http/h1.ts'
import type { FaultRow } from '../model/faults.ts'
import type { FixedResponseAction, RedirectAction } from '../model/resources.ts'
import type { OutBuffer } from '../net/buffers.ts'
import type { Exchange } from './exchange.ts'
import { pathOf, queryOf } from './request-target.ts'

/** Status texts; a status that is missing here is sent with an empty reason, as the server that the pages stem from does. */
const reasons: Readonly<Record<number, string>> = {
  301: 'Moved Permanently',
  302: 'Found',
  400: 'Bad Request',
  405: 'Not Allowed',
  408: 'Request Time-out',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Large',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Temporarily Unavailable',
  504: 'Gateway Time-out',
  505: 'HTTP Version Not Supported',
  507: 'Insufficient Storage',
}

/** Reasons of statuses that only fixed responses use. */
const fixedReasons: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  206: 'Partial Content',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  406: 'Not Acceptable',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  415: 'Unsupported Media Type',
  416: 'Requested Range Not Satisfiable',
  421: 'Misdirected Request',
  429: 'Too Many Requests',
  ...reasons,
}

const padding = '<!-- a padding to disable MSIE and Chrome friendly error page -->\r\n'.repeat(6)

/** @param title status and text, such as `502 Bad Gateway` */
function page(title: string): string {
  return `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n</body>\r\n</html>\r\n`
}

const plainHttpText = 'The plain HTTP request was sent to HTTPS port'
const plainHttpPage = `<html>\r\n<head><title>400 ${plainHttpText}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n<center>${plainHttpText}</center>\r\n</body>\r\n</html>\r\n`

/** Browsers that would show a page of their own in place of a short one. */
function wantsPadding(exchange: Exchange): boolean {
  const { head } = exchange
  if (head.length === 0) return false
  const at = head.indexOf(Field.userAgent)
  if (at === -1) return false
  const agent = head.text(head.valueFrom(at), head.valueTo(at))
  return agent.includes('MSIE') || (agent.includes('Chrome/') && !agent.includes('Gecko/'))
}

/** A whole response of the load balancer's own. */
export type OwnAnswer = {
  readonly status: number
  /** Of the status line; HTTP/2 has none. */
  readonly reason: string
  readonly date: string
  /** '' for an answer without content: then there is no Content-Type. */
  readonly contentType: string
  /** -1: none is said. A HEAD request is told the length of what it is not sent. */
  readonly contentLength: number
  /** '' for none. */
  readonly location: string
  /** What gRPC adds. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** One character per byte. */
  readonly body: string
}

/** By HTTP status. Only the pair of a 502 was captured; the others are those of gRPC's own mapping (assumed). */
const grpcStatuses: Readonly<Record<number, readonly [status: string, message: string]>> = {
  400: ['13', 'internal error'],
  401: ['16', 'unauthenticated'],
  403: ['7', 'permission denied'],
  404: ['12', 'unimplemented'],
  429: ['14', 'unavailable'],
  502: ['14', 'unavailable'],
  503: ['14', 'unavailable'],
  504: ['14', 'unavailable'],
}

/** @see https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
function grpcFields(httpStatus: number): OwnAnswer['fields'] {
  const [status, message] = grpcStatuses[httpStatus] ?? ['2', 'unknown']
  return [
    ['grpc-status', status],
    ['grpc-message', message],
  ]
}

/** Sends the answer that belongs to a fault; `closesClient` is settled. */
export function sendFaultAnswer(exchange: Exchange, row: FaultRow, status: number, date: string): void {
  exchange.statusCode = status
  const nothing = { status, reason: '', date, contentType: '', contentLength: 0, location: '', fields: [], body: '' }
  if (exchange.isGrpc || row.answer === 'bare') {
    const fields = exchange.isGrpc ? grpcFields(status) : []
    exchange.client!.sendAnswer(exchange, { ...nothing, fields })
    return
  }
  const reason = reasons[status]!
  const own = row.answer === 'plainHttpPage' ? plainHttpPage : page(`${status} ${reason}`)
  const body = own + (status >= 400 && wantsPadding(exchange) ? padding : '')
  exchange.client!.sendAnswer(exchange, { ...nothing, reason, ...html(body) })
}

function html(body: string): Pick<OwnAnswer, 'contentType' | 'contentLength' | 'body'> {
  return { contentType: 'text/html', contentLength: body.length, body }
}

/** @param location as `expandRedirect` made it */
export function sendRedirect(exchange: Exchange, action: RedirectAction, location: string, date: string): void {
  const status = action.statusCode
  exchange.statusCode = status
  exchange.redirectUrl = location
  // The status line of a 302 is the older text; its page has the newer one.
  const reason = status === 302 ? 'Moved Temporarily' : reasons[status]!
  const body = page(`${status} ${reasons[status]!}`)
  exchange.client!.sendAnswer(exchange, { status, reason, date, location, fields: [], ...html(body) })
}

/** Location always names its port, also where it is the default one. */
export function expandRedirect(exchange: Exchange, action: RedirectAction): string {
  const listener = exchange.listener!
  const values: Readonly<Record<string, string>> = {
    protocol: listener.protocol,
    host: exchange.host,
    port: String(listener.port),
    path: pathOf(exchange).slice(1),
    query: queryOf(exchange),
  }
  const expand = (text: string) => text.replace(/#\{(protocol|host|port|path|query)\}/g, (_, name) => values[name]!)
  const query = expand(action.query)
  const url = `${expand(action.protocol).toLowerCase()}://${expand(action.host)}:${expand(action.port)}${expand(action.path)}`
  return query === '' ? url : `${url}?${query}`
}

export function sendFixedResponse(exchange: Exchange, action: FixedResponseAction, date: string): void {
  const status = action.statusCode
  exchange.statusCode = status
  const body = Buffer.from(action.messageBody).toString('latin1')
  // A 204 by definition has neither (RFC 9110, section 8.6).
  const isWithout = status === 204
  exchange.client!.sendAnswer(exchange, {
    status,
    reason: fixedReasons[status] ?? '',
    date,
    contentType: isWithout ? '' : `${action.contentType}; charset=utf-8`,
    contentLength: isWithout ? -1 : body.length,
    location: '',
    fields: [],
    body,
  })
}

/**
 * Writes an answer as HTTP/1.1. An HTTP/0.9 client gets the body and nothing else (assumed): a status line would be
 * part of the document to it.
 */
export function writeAnswer(exchange: Exchange, answer: OwnAnswer, out: OutBuffer): void {
  const { isSimple, meaning } = exchange.head
  const head = isSimple ? '' : headText(exchange, answer)
  out.reserve(head.length + answer.body.length)
  out.ascii(head)
  if (!meaning.isHead) out.ascii(answer.body)
}

function headText(exchange: Exchange, answer: OwnAnswer): string {
  const { serverHeader, responseHeaders } = exchange.listener!
  const server = serverHeader ? 'Server: awselb/2.0\r\n' : ''
  const type = answer.contentType === '' ? '' : `Content-Type: ${answer.contentType}\r\n`
  const length = answer.contentLength === -1 ? '' : `Content-Length: ${answer.contentLength}\r\n`
  const connection = `Connection: ${exchange.closesClient ? 'close' : 'keep-alive'}\r\n`
  const location = answer.location === '' ? '' : `Location: ${answer.location}\r\n`
  const fields = `${server}Date: ${answer.date}\r\n${type}${length}${connection}${location}`
  return `HTTP/1.1 ${answer.status} ${answer.reason}\r\n${fields}${responseHeaders?.lines ?? ''}\r\n`
}
