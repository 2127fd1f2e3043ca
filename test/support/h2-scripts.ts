/** What targets do over HTTP/2 that no library lets them do, frame by frame, as scripts for `startTarget`. */

import { type Frame, type FrameName, preface, readFrames, settings } from './h2-frames.ts'
import type { Script, TargetConnection } from './misbehaving-target.ts'

export const maxConcurrentStreams = 3
export const initialWindowSize = 4

/** What a script sees of its peer. */
export class H2Peer {
  readonly connection: TargetConnection

  constructor(connection: TargetConnection) {
    this.connection = connection
  }

  send(...frames: readonly Buffer[]): Promise<void> {
    return this.connection.send(Buffer.concat(frames))
  }

  /** The next frame; null when the peer has closed instead. */
  async read(): Promise<Frame | null> {
    const head = await this.connection.read(9)
    if (head === null) return null
    const payload = await this.connection.read(head.readUIntBE(0, 3))
    return payload === null ? null : readFrames(Buffer.concat([head, payload]))[0]!
  }

  /** Reads on to the next frame of that type; null when the peer closed before. */
  async readTo(type: FrameName): Promise<Frame | null> {
    for (;;) {
      const next = await this.read()
      if (next === null || next.type === type) return next
    }
  }

  /** Reads on to the head of a request. @returns its stream, or null when the peer closed before */
  async request(): Promise<number | null> {
    return (await this.readTo('HEADERS'))?.id ?? null
  }
}

/** A target that begins as it should, and goes on by the script. */
export function speaksHttp2(script: (peer: H2Peer) => Promise<void>, hello: Buffer = settings()): Script {
  return async connection => {
    if ((await connection.read(preface.length)) === null) return
    const peer = new H2Peer(connection)
    await peer.send(hello)
    await script(peer)
  }
}

/** Answers the first request on a connection with these frames, and reads on until the peer closes. */
export function answersFrames(framesFor: (id: number) => readonly Buffer[], hello: Buffer = settings()): Script {
  return speaksHttp2(async peer => {
    const id = await peer.request()
    if (id === null) return
    await peer.send(...framesFor(id))
    await peer.connection.drain()
  }, hello)
}
