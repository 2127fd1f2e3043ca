/**
 * What the fields of a head mean together, as values: how long the body is, what becomes of the connection, what is
 * asked for. What follows from it is for others to decide.
 */

import { graver } from '../../model/desync.ts'

/** How a body ends. */
export const BodyKind = { none: 0, length: 1, chunked: 2, untilClose: 3 } as const
export type BodyKind = (typeof BodyKind)[keyof typeof BodyKind]

export class ConnectionMeaning {
  /** `Connection: close` */
  wantsClose = false
  /** `Connection: keep-alive` */
  wantsKeepAlive = false
  /** `Connection: upgrade` */
  wantsUpgrade = false
  /** Lower-case names of fields that Connection declares to end here (RFC 9110, section 7.6.1). */
  nominated: string[] | null = null

  protected resetConnection(): void {
    this.wantsClose = false
    this.wantsKeepAlive = false
    this.wantsUpgrade = false
    this.nominated = null
  }
}

export class RequestMeaning extends ConnectionMeaning {
  /** Index of the first Host field, or -1. */
  hostAt = -1
  bodyKind: BodyKind = BodyKind.none
  /** Bytes of the body, for `BodyKind.length`. */
  contentLength = 0
  /** A coding other than chunked or identity was named. */
  hasUnsupportedCoding = false
  /** A coding was named and the body has none: to some that means that it lasts until the client closes. */
  hasUnusedCoding = false
  expectsContinue = false
  isWebSocketUpgrade = false
  isGet = false
  isHead = false
  /** Index of the Content-Length field that says the length as it is to be said, or -1. */
  lengthAt = -1
  /** A length was given, and must be written anew. */
  needsLength = false
  /** The target holds spaces or controls, which must be percent-encoded. */
  hasOddTarget = false
  /** Index into `desyncReasons`: the first reason found at the highest tier. */
  desync = 0
  /** Nobody can say where the body ends, or what is asked for: no way of writing it anew has one meaning. */
  isUnreadable = false

  reset(): void {
    this.resetConnection()
    this.hostAt = -1
    this.bodyKind = BodyKind.none
    this.contentLength = 0
    this.hasUnsupportedCoding = false
    this.hasUnusedCoding = false
    this.expectsContinue = false
    this.isWebSocketUpgrade = false
    this.isGet = false
    this.isHead = false
    this.lengthAt = -1
    this.needsLength = false
    this.hasOddTarget = false
    this.desync = 0
    this.isUnreadable = false
  }

  /** Keeps the reason unless one of a higher or the same tier is known. */
  classify(reason: number): void {
    this.desync = graver(this.desync, reason)
  }
}

export class ResponseMeaning extends ConnectionMeaning {
  bodyKind: BodyKind = BodyKind.none
  contentLength = 0
  dateAt = -1
  contentTypeAt = -1
  /** Why nobody can say where the body ends, a constant; null while all is well. */
  fault: string | null = null

  reset(): void {
    this.resetConnection()
    this.bodyKind = BodyKind.none
    this.contentLength = 0
    this.dateAt = -1
    this.contentTypeAt = -1
    this.fault = null
  }
}
