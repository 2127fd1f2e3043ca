/**
 * One request and its response, from its first byte to its log line: the single record from which the access log, the
 * metrics and the recorder are made. It holds state; what happens to it is in the files beside it.
 *
 * Request and response are two machines, because a target may answer while the client still sends.
 */

import { assert } from '../base/assert.ts'
import { BodyReader, RequestHead, type ResponseHead } from '../http/h1.ts'
import type { FaultCode } from '../model/faults.ts'
import type { CompiledRule } from '../routing/rules.ts'
import type { TargetStream } from '../targets/h2-target-connection.ts'
import type { TargetConnection } from '../targets/target-connection.ts'
import type { Target, TargetGroup } from '../targets/target-group.ts'
import type { OwnAnswer } from './answer.ts'
import type { ClientTls } from './client-tls.ts'
import type { PlaneContext, RunningAction, RunningListener } from './context.ts'

/** How far one direction has come. */
export const Side = { head: 0, body: 1, done: 2 } as const
export type Side = (typeof Side)[keyof typeof Side]

/** What an exchange needs of whoever its request came from: a connection of HTTP/1.1, or a stream of HTTP/2. */
export type Client = {
  readonly isHttp2: boolean
  readonly ip: string
  readonly port: number
  /** `ip:port` */
  readonly address: string
  readonly traceId: string
  readonly openedAt: number
  /** Null on an HTTP listener, and before the handshake is over. */
  readonly tls: ClientTls | null
  /** When a byte of the exchange last went either way. */
  lastActivity: number
  /** It holds more of the response than it should. When that is over, it has the target read on. */
  readonly isCongested: boolean
  /** Holds up the request, for a reason (`Pause`). */
  pause(why: number): void
  resume(why: number): void
  /** Takes a connection to the target, on which the request is sent as soon as that is open. */
  connectTo(exchange: Exchange, target: Target, now: number): void
  /** The request was read to its end. */
  onRequestRead(): void
  /** Begins the response with the target's own head; what follows it in the same read leaves with it, at `flush`. */
  sendHead(exchange: Exchange, head: ResponseHead, now: number): void
  /** Passes on a piece of the response that was just read from the target. */
  sendBody(exchange: Exchange, from: TargetConnection, bytes: Buffer, at: number, to: number): void
  /** The body is over. */
  endBody(exchange: Exchange): void
  flush(exchange: Exchange): void
  /** Sends a whole response that is the load balancer's own. */
  sendAnswer(exchange: Exchange, answer: OwnAnswer): void
  /** The exchange is over; what it came on lives on or closes as it says. */
  onExchangeFinished(isKept: boolean, now: number): void
}

export class Exchange {
  readonly plane: PlaneContext
  readonly head: RequestHead = new RequestHead()
  readonly requestBody: BodyReader = new BodyReader()
  readonly responseBody: BodyReader = new BodyReader()
  client: Client | null = null
  /** Of the configuration that this request began with; a publication midway does not touch it. */
  listener: RunningListener | null = null

  requestSide: Side = Side.head
  responseSide: Side = Side.head
  fault: FaultCode | null = null
  /** Null until a rule was looked up. */
  rule: CompiledRule<RunningAction> | null = null
  targetGroup: TargetGroup | null = null
  target: Target | null = null
  /** Of HTTP/1.1; null before there is one, and again once it was given back. */
  targetConnection: TargetConnection | null = null
  /** The same of HTTP/2. */
  targetStream: TargetStream | null = null
  isConnecting = false
  /** It counts among the target's requests in flight. */
  isInFlight = false
  /** The request head stands in the out buffer and leaves with what follows it in the same read. */
  isHeadHeld = false
  /** The out buffer holds something for the target: the head, pieces of the body, or both. */
  isOutHeld = false
  /** After a 101: both connections carry bytes that nobody interprets. */
  isTunnel = false
  /** The client connection ends with this exchange. */
  closesClient = false
  /** The target's connection may carry another request. */
  keepsTarget = true
  /** The response to this client is sent in chunks of ours, because the target's has no length. */
  addsChunks = false
  isFinished = false
  /** By its Content-Type, over HTTP/2. */
  isGrpc = false

  /** Host of the request as the client named it, without a port, lower case; '' when there was none. */
  host = ''
  /** As sent: the authority of an absolute target, or the value of Host. */
  authority = ''
  /** Authority and host of an earlier request that this object carried; not part of the exchange. */
  seenAuthority = ''
  seenHost = ''
  /** Where the path begins in the head: for an absolute target, behind its authority. */
  pathFrom = 0
  traceId = ''
  redirectUrl = ''
  /** `error_reason` of the access log; '' for none. */
  errorReason = ''
  /** What the target is sent in place of the client's; '' where nothing was rewritten. */
  transformedHost = ''
  transformedUri = ''
  /** `request_transform_status`; '' when no transform ran. */
  transformStatus = ''
  /** The client brought a cookie of a sticky session, usable or not. */
  hasStickySession = false

  /** All times by the clock's `now`; -1: did not happen. */
  createdAt = -1
  headAt = -1
  sentAt = -1
  answeredAt = -1
  relayedAt = -1
  /** When the target ended it, for faults that log the elapsed time. */
  targetEndedAt = -1
  finishedAt = -1

  statusCode = 0
  /** -1 when no target answered; the access log then writes "-". */
  targetStatusCode = -1
  receivedBytes = 0
  sentBytes = 0

  constructor(plane: PlaneContext) {
    this.plane = plane
  }

  /** What the request is sent on, in either version. */
  get link(): TargetConnection | TargetStream | null {
    return this.targetConnection ?? this.targetStream
  }

  begin(client: Client, listener: RunningListener, now: number): void {
    this.client = client
    this.listener = listener
    this.createdAt = now
  }

  moveRequest(to: Side): void {
    assert(to > this.requestSide, 'request side moves forward')
    this.requestSide = to
  }

  moveResponse(to: Side): void {
    assert(to > this.responseSide, 'response side moves forward')
    this.responseSide = to
  }

  /** Back to the state of a new one, for the next request. */
  reset(): void {
    this.head.reset()
    this.client = null
    this.listener = null
    this.requestSide = Side.head
    this.responseSide = Side.head
    this.fault = null
    this.rule = null
    this.targetGroup = null
    this.target = null
    this.targetConnection = null
    this.targetStream = null
    this.isConnecting = false
    this.isInFlight = false
    this.isHeadHeld = false
    this.isOutHeld = false
    this.isTunnel = false
    this.closesClient = false
    this.keepsTarget = true
    this.addsChunks = false
    this.isFinished = false
    this.isGrpc = false
    this.host = ''
    this.authority = ''
    this.pathFrom = 0
    this.traceId = ''
    this.redirectUrl = ''
    this.errorReason = ''
    this.transformedHost = ''
    this.transformedUri = ''
    this.transformStatus = ''
    this.hasStickySession = false
    this.createdAt = -1
    this.headAt = -1
    this.sentAt = -1
    this.answeredAt = -1
    this.relayedAt = -1
    this.targetEndedAt = -1
    this.finishedAt = -1
    this.statusCode = 0
    this.targetStatusCode = -1
    this.receivedBytes = 0
    this.sentBytes = 0
  }
}
