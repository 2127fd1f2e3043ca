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
  /** We have said END_STREAM, which may wait behind what is queued. */
  isLocalEnded = false
  /** Bytes of HEADERS, CONTINUATION and DATA frames, their heads of 9 bytes included. */
  receivedBytes = 0
  sentBytes = 0
  /** For the owner to say in client role: no DATA follows, whatever the response's Content-Length says. */
  answersHead = false
  /** Why the session reset it, a constant for the log; empty otherwise. */
  resetText = ''

  constructor(id: number) {
    this.id = id
  }
}
