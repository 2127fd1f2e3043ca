/**
 * The one table of what the load balancer can see go wrong. The data plane names a fault; the answer, the access
 * log, the metrics and the display read this table. Nobody writes a status code for a generated error anywhere else.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
 */

export type FaultRow = {
  /** Whose doing it was. */
  readonly side: 'client' | 'target' | 'balancer'
  /** `elb_status_code`; null when the target's status had already been relayed. */
  readonly status: number | null
  /** What the client is sent: a page, a bare status line with no body, or nothing because nobody reads or an answer has begun. */
  readonly answer: 'page' | 'plainHttpPage' | 'bare' | 'none'
  /** Whether the client connection may live on after the answer. */
  readonly connection: 'keep-alive' | 'close'
  /** `target_processing_time`: the time until the target ended it, or -1 because the load balancer gave up. */
  readonly targetTime: 'elapsed' | 'unset'
  /** Metrics moved beside the HTTPCode_ELB_* ones that follow from the status. */
  readonly metrics: readonly FaultMetric[]
  /** What happened, for a person. */
  readonly text: string
}

export type FaultMetric =
  | 'TargetConnectionErrorCount'
  | 'TargetTLSNegotiationErrorCount'
  | 'HTTP_Redirect_Url_Limit_Exceeded_Count'

const refused = { side: 'client', targetTime: 'unset', metrics: [] } as const
const badRequest = { ...refused, status: 400, answer: 'page', connection: 'close' } as const
const badGateway = {
  side: 'target',
  status: 502,
  answer: 'page',
  connection: 'keep-alive',
  targetTime: 'elapsed',
  metrics: [],
} as const
const noConnection = { ...badGateway, targetTime: 'unset', metrics: ['TargetConnectionErrorCount'] } as const
const noTls = { ...badGateway, targetTime: 'unset', metrics: ['TargetTLSNegotiationErrorCount'] } as const
const afterHead = {
  status: null,
  answer: 'none',
  connection: 'close',
  targetTime: 'elapsed',
  metrics: [],
} as const

export const faults = {
  clientHeadMalformed: { ...badRequest, text: 'the request head is not valid HTTP' },
  clientDesyncBlocked: { ...badRequest, text: 'the desync mitigation mode does not let the request pass' },
  clientDesyncUnreadable: { ...badRequest, text: 'nobody can tell what the request asks for, or where it ends' },
  clientHeadTooLarge: { ...badRequest, text: 'the request head is larger than the 16 K per line or 64 K in all' },
  clientHostMissing: { ...badRequest, text: 'an HTTP/1.1 request without a usable Host header' },
  clientPlainHttp: { ...badRequest, answer: 'plainHttpPage', text: 'plain HTTP was spoken to an HTTPS listener' },
  clientConnectMethod: { ...badRequest, text: 'CONNECT is not supported' },
  clientUriTooLarge: { ...badRequest, status: 414, text: 'the request line is larger than 16 K' },
  clientTraceMethod: { ...badRequest, status: 405, connection: 'keep-alive', text: 'TRACE is not allowed' },
  clientStreamMalformed: {
    ...refused,
    status: 400,
    answer: 'none',
    connection: 'keep-alive',
    text: 'the HTTP/2 request breaks the rules of RFC 9113, and its stream was reset',
  },
  clientProtocolError: {
    ...afterHead,
    side: 'client',
    targetTime: 'unset',
    text: 'the client broke the rules of HTTP/2 or made too much work of it, and its connection was closed',
  },
  clientHeadTimeout: {
    ...badRequest,
    status: 408,
    text: 'the client did not complete its request head in the idle timeout',
  },
  clientTransferEncoding: { ...badRequest, status: 501, text: 'a Transfer-Encoding other than chunked or identity' },
  clientVersion: { ...badRequest, status: 505, text: 'the HTTP version is not served on this connection' },
  clientForwardedForTooLong: {
    ...refused,
    status: 463,
    answer: 'bare',
    connection: 'keep-alive',
    text: 'X-Forwarded-For holds more than 30 addresses',
  },
  clientGoneDuringHead: {
    ...refused,
    status: 400,
    answer: 'none',
    connection: 'close',
    text: 'the client closed before its request head was complete',
  },
  clientBodyMalformed: { ...badRequest, text: 'the chunked request body is not valid' },
  clientBodyTimeout: {
    ...badRequest,
    status: 408,
    text: 'the client did not complete its request body in the idle timeout',
  },
  clientGoneDuringBody: {
    ...refused,
    status: 400,
    answer: 'none',
    connection: 'close',
    text: 'the client closed before its request body was complete',
  },
  clientClosed: {
    ...refused,
    status: 460,
    answer: 'none',
    connection: 'close',
    text: 'the client closed while the load balancer waited for the target',
  },
  clientGoneDuringResponse: {
    ...afterHead,
    side: 'client',
    text: 'the client closed before it had the whole response',
  },
  clientStalledDuringResponse: {
    ...afterHead,
    side: 'client',
    text: 'the client stopped reading the response for the idle timeout',
  },

  protocolVersionMismatch: {
    side: 'client',
    status: 464,
    answer: 'bare',
    connection: 'keep-alive',
    targetTime: 'unset',
    metrics: [],
    text: 'the target group takes other requests than this one: its protocol version and that of the request do not go together',
  },
  groupEmpty: {
    side: 'balancer',
    status: 503,
    answer: 'page',
    connection: 'keep-alive',
    targetTime: 'unset',
    metrics: [],
    text: 'the target group has no registered targets',
  },
  weightsZero: {
    side: 'balancer',
    status: 503,
    answer: 'page',
    connection: 'keep-alive',
    targetTime: 'unset',
    metrics: [],
    text: 'all target groups of the forward action have the weight 0',
  },
  transformFailed: {
    side: 'balancer',
    status: 500,
    answer: 'page',
    connection: 'close',
    targetTime: 'unset',
    metrics: [],
    text: 'a transform of the rule matched and gave no usable host or URI',
  },
  redirectTooLong: {
    side: 'balancer',
    status: 507,
    answer: 'page',
    connection: 'keep-alive',
    targetTime: 'unset',
    metrics: ['HTTP_Redirect_Url_Limit_Exceeded_Count'],
    text: 'the Location of a redirect would be longer than 8 K',
  },
  shutdownBeforeAnswer: {
    side: 'balancer',
    status: 503,
    answer: 'page',
    connection: 'close',
    targetTime: 'unset',
    metrics: [],
    text: 'the load balancer was stopped before the request had been answered',
  },
  shutdownDuringExchange: {
    ...afterHead,
    side: 'balancer',
    text: 'the load balancer was stopped before the response was complete',
  },

  targetRefused: { ...noConnection, text: 'the target refused the connection (RST): nothing listens on its port' },
  targetUnreachable: { ...noConnection, text: 'the network said that the target cannot be reached' },
  connectFailed: {
    ...noConnection,
    side: 'balancer',
    text: 'the operating system could not open a connection (out of ports or descriptors)',
  },
  connectTimeout: { ...noConnection, status: 504, text: 'the target did not accept the connection within 10 s' },
  targetTlsHandshakeFailure: {
    ...noTls,
    text: 'the target ended the TLS handshake with the alert handshake_failure: most often no cipher in common',
  },
  targetTlsProtocolVersion: { ...noTls, text: 'the target and the load balancer have no TLS version in common' },
  targetTlsAlert: { ...noTls, text: 'the target refused TLS with an alert' },
  targetTlsNotTls: {
    ...noTls,
    text: 'what the target sent in the TLS handshake is not TLS: its port speaks something else',
  },
  targetTlsMalformed: { ...noTls, text: 'what the target sent is not valid TLS' },
  targetTlsClosed: { ...noTls, text: 'the target closed the connection (FIN or RST) within the TLS handshake' },
  targetTlsNoHttp2: { ...noTls, text: 'the target did not choose HTTP/2 (h2) in ALPN, which its target group wants' },
  targetTlsTimeout: { ...noTls, status: 504, text: 'the target did not complete the TLS handshake within 10 s' },
  targetHttp2Timeout: {
    ...badGateway,
    status: 504,
    targetTime: 'unset',
    text: 'the target accepted the connection and did not begin HTTP/2 on it (SETTINGS) within 10 s',
  },
  targetTakesNoStreams: {
    ...badGateway,
    targetTime: 'unset',
    text: 'the target allows no requests on a new HTTP/2 connection (SETTINGS_MAX_CONCURRENT_STREAMS is 0)',
  },
  targetClosed: { ...badGateway, text: 'the target closed the connection (FIN) before it had answered' },
  targetReset: { ...badGateway, text: 'the target reset the connection (RST) before it had answered' },
  targetStreamReset: { ...badGateway, text: 'the target reset the stream (RST_STREAM) before it had answered' },
  targetProtocolError: { ...badGateway, text: 'what the target sent breaks the rules of HTTP/2 (RFC 9113)' },
  responseHeadMalformed: { ...badGateway, text: 'the response head of the target is not valid HTTP' },
  responseHeadTooLarge: { ...badGateway, text: 'the response head of the target is larger than 32 K' },
  deregistrationExpired: {
    ...badGateway,
    side: 'balancer',
    targetTime: 'unset',
    text: 'the deregistration delay ended before the target had answered',
  },
  targetIdle: {
    ...badGateway,
    status: 504,
    targetTime: 'unset',
    text: 'the target did not answer within the idle timeout',
  },
  responseTruncated: { ...afterHead, side: 'target', text: 'the target closed before its response was complete' },
  responseTrailersTooLarge: { ...afterHead, side: 'target', text: 'the trailers of the target are larger than 32 K' },
  responseBodyMalformed: { ...afterHead, side: 'target', text: 'the chunked response body of the target is not valid' },
  responseStalled: {
    ...afterHead,
    side: 'target',
    text: 'the target stopped sending its response, or reading, for the idle timeout',
  },
  deregistrationExpiredDuringResponse: {
    ...afterHead,
    side: 'balancer',
    text: 'the deregistration delay ended before the response was complete',
  },
} as const satisfies Record<string, FaultRow>

export type FaultCode = keyof typeof faults

/** Every fault, in the order of the table: the index is what shared counters use. */
export const faultCodes = Object.keys(faults) as FaultCode[]

export function faultRow(code: FaultCode): FaultRow {
  return faults[code]
}
