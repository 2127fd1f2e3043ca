/**
 * Every bound of the product, with its unit and reason. Bounds of the real service name their page; those that are
 * ours say what they protect. Whether a value is documented, observed or assumed stands in `docs/parity.md`.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
 */

/** Request line, without its line end. */
export const requestLineBytesMax = 16 * 1024
/** One header field line of a request, without its line end. */
export const requestHeaderBytesMax = 16 * 1024
/** A request's whole head. */
export const requestHeadBytesMax = 64 * 1024
/** A response's whole head; one larger is a 502. */
export const responseHeadBytesMax = 32 * 1024
/** Ours: header fields of one message. 64 K of head could hold 16,000 of them, each costing four integers. */
export const headerFieldsMax = 1000
/** Ours: digits of a chunk size. 13 hex digits reach 2^52, still exact in a double. */
export const chunkSizeDigitsMax = 13
/** Ours: a chunk-size line with its extensions, and the trailer section, each; they are read and dropped. */
export const chunkOverheadBytesMax = 16 * 1024

/** Addresses in an incoming X-Forwarded-For; more is a 463. */
export const forwardedForAddressesMax = 30
/** Bytes of a redirect's Location; a longer one is a 507. */
export const locationBytesMax = 8 * 1024
/** Above this many bytes of head the trace header is replaced instead of extended. */
export const traceHeadBytesMax = 7 * 1024
/** Bytes of a User-Agent that the access log shows. */
export const loggedUserAgentBytesMax = 8 * 1024

/** Of a header that tells targets of the client's TLS, when a listener renames it (assumed). */
export const requestHeaderNameCharactersMax = 128
/** Ours: of the subject and of the serial number of a client's certificate, each, that the connection log shows. */
export const loggedCertificateBytesMax = 8 * 1024

/** Longest stickiness, of targets and of target groups. */
export const stickinessSecondsMax = 604_800
/** What `Expires` of every stickiness cookie is ahead by, whatever the duration sealed in it. */
export const stickyCookieExpiresMs = 7 * 24 * 60 * 60 * 1000

/** Streams that a client may have open at once. */
export const h2StreamsMax = 128
/** Requests on one HTTP/2 connection; then the client is told to go away. */
export const h2RequestsMax = 10_000
/** Body bytes that may be under way on one stream of a client before the target has taken any. Nginx's value (assumed). */
export const h2StreamWindowBytes = 64 * 1024
/** The same for all streams together: as large as the protocol has it, since the streams are bounded themselves. */
export const h2ConnectionWindowBytes = 2 ** 31 - 1

/** Ours: bytes of a head on the wire. One that is too large by less is refused with a status, beyond it the connection ends. */
export const h2HeaderBlockBytesMax = 2 * requestHeadBytesMax

/** Ours: requests under way on one connection to a target, where that would take more. */
export const h2TargetStreamsMax = 128
/** Ours: bytes of bodies that stand ready at once for one HTTP/2 connection, as many as its socket takes before it is full. */
export const h2BodyBytesReadyMax = 64 * 1024
/** Ours: bytes that stand ready for one connection to a target and let no further request begin. Bodies leave room for heads. */
export const h2TargetBytesReadyMax = 2 * h2BodyBytesReadyMax

/** Ours: frames that carry on one HTTP/2 header block. At 16 K each four would do; some clients cut finer. */
export const h2ContinuationsMax = 32
/** Ours, as in nginx: of all bytes of an HTTP/2 connection an eighth must be payload, once this much came that is not. */
export const h2OverheadRatio = 8
export const h2OverheadBytesFree = 1024 * 1024
/** Ours, as in nghttp2: streams that a client may make us reset, or reset itself, at once and per second (CVE-2023-44487). */
export const h2ResetsBurst = 1000
export const h2ResetsPerSecond = 33
/** Ours, as in nghttp2: answers to SETTINGS, PING, requests and frames on closed streams that wait for a client who does not read. */
export const h2RepliesWaitingMax = 1000
/** Ours: streams of a client that has its whole answer and may finish its request; beyond, the first is told to stop. */
export const h2LeftStreamsMax = 16
/** Ours: closed streams remembered by how they closed, as many as may be open; frames for them may still be on their way. */
export const h2ClosedStreamsKept = 128

/** Ours: connections to a target that may go away in front of one request. Under load, one is not always enough. */
export const h2GoAwaysMax = 5
/** Ours: bytes of a body that are kept until the target answers, for the case that it never looked at the request. */
export const replayBytesMax = 64 * 1024

/** To open a connection to a target. */
export const connectTimeoutMs = 10_000
/**
 * Ours: a FIN from a client that waits for its answer may mean "gone" or "nothing more to say". An answer that
 * comes within this time is still delivered; after it the exchange ends as a 460.
 */
export const halfClosedGraceMs = 250
/** Ours: how long a connection is read and thrown away after an error answer, so that the answer is not lost to a RST. */
export const lingerMs = 2_000
/** Ours: how long SIGTERM waits for exchanges in flight. */
export const shutdownGraceMs = 25_000

/** Ours: idle connections that one worker keeps for one target; what is released beyond is closed. */
export const idleConnectionsPerTargetMax = 1024
/** Ours: finished exchanges that one worker keeps for reuse: as many as are in flight in a busy moment. */
export const exchangesPooledMax = 4096
/** Ours: finished exchanges that wait until the end of the turn to be recorded; one client may pipeline thousands. */
export const exchangesUnrecordedMax = 256
/** Ours: bytes read at once; also the most that one client's pipelined requests hold, since reading pauses. */
export const readBufferBytes = 64 * 1024
/** Ours: a body at least this long is read into buffers that need no copy; below, one copy costs less than changing buffers. */
export const bulkBytesMin = 32 * 1024

/**
 * Ours: rows of shared memory; a configuration beyond is refused. A node is a load balancer in one zone, and has a row
 * for each of its target groups and for each of their targets.
 */
export const nodeSlotsMax = 768
export const targetGroupSlotsMax = 9_000
export const targetSlotsMax = 16_384

/** Ours: access-log bytes that a worker collects before it writes, at the latest after `logFlushMs`. */
export const logBlockBytes = 256 * 1024
export const logFlushMs = 500
/** Ours: blocks waiting for a slow disk; beyond, lines are dropped and counted. Delivery is best effort, as in the service. */
export const logBlocksMax = 64
/** The service delivers one file per node in this interval. */
export const logDeliveryMinutes = 5
