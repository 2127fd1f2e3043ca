/** One request and its response within a session. */

export class H2Stream<User> {
  readonly id: number
  /** Whatever the owner keeps with it. */
  user: User | null = null
  /** More is queued than should be: stop sending until `onStreamDrained`. */
  isCongested = false
  /** Both directions are over, or one side has reset it. */
  isClosed = false
  /** The peer has said END_STREAM. */
  hasEnded = false
  /** The owner has said END_STREAM; the frame may wait behind what is queued. */
  isLocalEnded = false
  /** Bytes of HEADERS, CONTINUATION and DATA frames, their heads of 9 bytes included. */
  receivedBytes = 0
  sentBytes = 0
  /** For the owner to say in client role: no DATA follows, whatever Content-Length the response has. */
  answersHead = false
  /** Why the session reset it, a constant for the log; empty otherwise. */
  resetText = ''

  // The rest is the session's own.

  /** The owner has done with it, the client has not; it is closed as far as the owner knows. */
  isLeft = false
  /** A head of ours was written: the peer knows of the stream. */
  isHeadSent = false
  /** Our END_STREAM was written. */
  isEndSent = false
  /** The peer's head was read, interim ones aside. */
  hasHead = false
  /** What the peer's Content-Length leaves to come; -1 where it said none. */
  contentLeft = -1
  /** What we may send, and what the peer may. */
  sendWindow: number
  receiveWindow: number
  /** Bytes given to the owner that it has not said to have `consumed`. */
  unconsumed = 0
  /** Consumed bytes that the peer has not been told of. */
  credit = 0
  /** Bytes that wait to be sent, from `queueFrom` to `queueTo`. */
  queue: Buffer | null = null
  queueFrom = 0
  queueTo = 0
  /** Fields that are sent behind the queue and end the stream. */
  trailers: Buffer | null = null

  constructor(id: number, sendWindow: number, receiveWindow: number) {
    this.id = id
    this.sendWindow = sendWindow
    this.receiveWindow = receiveWindow
  }

  /** Copies the bytes behind those that wait already. */
  enqueue(bytes: Buffer, from: number, to: number): void {
    const waiting = this.queueTo - this.queueFrom
    const size = waiting + to - from
    if (this.queue === null || this.queueTo + to - from > this.queue.length) {
      // Twice what waits, or many small pieces would each cost a copy of all before them.
      const larger = Buffer.allocUnsafeSlow(Math.max(size, 2 * waiting))
      this.queue?.copy(larger, 0, this.queueFrom, this.queueTo)
      this.queue = larger
      this.queueFrom = 0
      this.queueTo = waiting
    }
    bytes.copy(this.queue, this.queueTo, from, to)
    this.queueTo += to - from
  }
}
