/**
 * Seals what a stickiness cookie says, so that only this load balancer can read or write it. Knows neither HTTP nor
 * time: whether a ticket has expired or its target is still there is the caller's to see.
 *
 * A value is 128 characters of base64 (RFC 4648, section 4; no padding, since 96 bytes need none). Numbers are big
 * endian:
 *
 * | bytes | sealed                           | bytes | inside the ciphertext                 |
 * | ----- | -------------------------------- | ----- | ------------------------------------- |
 * | 0-3   | key id                           | 0     | version, 1                            |
 * | 4-15  | nonce, random                    | 1     | kind: 1 group, 4 and 6 target by IPvn |
 * | 16-79 | ciphertext, AES-256-GCM          | 2-9   | target group id                       |
 * | 80-95 | tag                              | 10-15 | expiry, milliseconds since the epoch  |
 * |       |                                  | 16-17 | port                                  |
 * |       |                                  | 18-33 | address; behind it zeros              |
 *
 * The kind stands under the tag like all the rest, so neither kind of ticket can be passed off as the other. The key
 * id does not, but it chooses the key that the tag is checked with. Random nonces are good for 2^32 tickets of one key
 * (NIST SP 800-38D, section 8.3): keys are to rotate before that.
 */

import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type DecipherGCM,
  type KeyObject,
  randomFillSync,
} from 'node:crypto'
import { assert } from '../base/assert.ts'
import { formatAddressWords, parseAddress } from '../base/ip-address.ts'
import type { CookieKey } from '../model/snapshot.ts'

export type CookieTicket = TargetTicket | TargetGroupTicket

/** Ties a client to a target. */
export type TargetTicket = {
  readonly kind: 'target'
  /** 16 hex digits: the last part of the target group's ARN. */
  readonly groupId: string
  /** In canonical form. */
  readonly ip: string
  readonly port: number
  /** A fraction is cut off. */
  readonly expiresAtMs: number
}

/** Ties a client to one of the target groups of a forward action. */
export type TargetGroupTicket = {
  readonly kind: 'targetGroup'
  /** 16 hex digits: the last part of the target group's ARN. */
  readonly groupId: string
  /** A fraction is cut off. */
  readonly expiresAtMs: number
}

export const sealedCharacters = 128

const algorithm = 'aes-256-gcm'
const nonceAt = 4
const ciphertextAt = 16
const tagAt = 80
const sealedBytes = 96
const nonceBytes = ciphertextAt - nonceAt
const noncesDrawn = 256
const groupIdBytes = 8

const version = 1
const Kind = { targetGroup: 1, targetIpv4: 4, targetIpv6: 6 } as const
const at = { version: 0, kind: 1, groupId: 2, expiry: 10, port: 16, address: 18 } as const

/** 1 where the character may stand in a value. Buffers decode base64 more leniently than the service does. */
const base64Character = new Uint8Array(128)
for (const c of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/') base64Character[c.charCodeAt(0)] = 1

type Key = { readonly id: number; readonly secret: KeyObject }

export class CookieSeal {
  readonly #keys: readonly Key[]
  /** Work space: one value, and views of its parts. */
  readonly #sealed = Buffer.alloc(sealedBytes)
  readonly #nonce = this.#sealed.subarray(nonceAt, ciphertextAt)
  readonly #ciphertext = this.#sealed.subarray(ciphertextAt, tagAt)
  readonly #tag = this.#sealed.subarray(tagAt)
  readonly #plaintext = Buffer.alloc(tagAt - ciphertextAt)
  /** Random bytes drawn ahead: a draw costs 1.4 µs, however small, of 5.8 µs for the whole seal. */
  readonly #nonces = Buffer.alloc(nonceBytes * noncesDrawn)
  #noncesUsed: number = noncesDrawn

  /** @param keys newest first: that one seals, all of them open */
  constructor(keys: readonly CookieKey[]) {
    this.#keys = keys.map(({ id, key }) => ({ id, secret: createSecretKey(key) }))
  }

  seal(ticket: CookieTicket): string {
    const key = this.#keys[0]
    assert(key !== undefined, 'a ticket is sealed with a key')
    writeTicket(ticket, this.#plaintext)
    this.#sealed.writeUInt32BE(key.id)
    this.#drawNonce()
    const cipher = createCipheriv(algorithm, key.secret, this.#nonce)
    this.#ciphertext.set(cipher.update(this.#plaintext))
    cipher.final()
    this.#tag.set(cipher.getAuthTag())
    return this.#sealed.toString('base64')
  }

  /** @returns null for whatever we did not seal, or with a key that is gone. Never throws. */
  open(value: string): CookieTicket | null {
    if (!isSealedText(value)) return null
    this.#sealed.write(value, 'base64')
    const id = this.#sealed.readUInt32BE()
    const key = this.#keys.find(each => each.id === id)
    if (key === undefined) return null
    const decipher = createDecipheriv(algorithm, key.secret, this.#nonce)
    decipher.setAuthTag(this.#tag)
    const plaintext = decipher.update(this.#ciphertext)
    return isAuthentic(decipher) ? readTicket(plaintext) : null
  }

  #drawNonce(): void {
    if (this.#noncesUsed === noncesDrawn) {
      randomFillSync(this.#nonces)
      this.#noncesUsed = 0
    }
    this.#nonces.copy(this.#nonce, 0, this.#noncesUsed++ * nonceBytes)
  }
}

function isSealedText(value: string): boolean {
  if (value.length !== sealedCharacters) return false
  for (let i = 0; i < sealedCharacters; i++) if (base64Character[value.charCodeAt(i)] !== 1) return false
  return true
}

/** A tag that does not fit is only ever said by throwing. */
function isAuthentic(decipher: DecipherGCM): boolean {
  try {
    decipher.final()
    return true
  } catch {
    return false
  }
}

function writeTicket(ticket: CookieTicket, plaintext: Buffer): void {
  const { kind, groupId, expiresAtMs } = ticket
  plaintext.fill(0)
  plaintext[at.version] = version
  const written = plaintext.write(groupId, at.groupId, groupIdBytes, 'hex')
  assert(written === groupIdBytes, 'a target group id has 16 hex digits')
  plaintext.writeUIntBE(Math.floor(expiresAtMs), at.expiry, 6)
  if (kind === 'targetGroup') {
    plaintext[at.kind] = Kind.targetGroup
    return
  }
  plaintext.writeUInt16BE(ticket.port, at.port)
  const words = parseAddress(ticket.ip)
  assert(words !== null, 'a target has an address')
  for (const [i, word] of words.entries()) plaintext.writeUInt32BE(word, at.address + 4 * i)
  plaintext[at.kind] = words.length === 1 ? Kind.targetIpv4 : Kind.targetIpv6
}

/** What is authentic may still have been sealed by another version of ours. */
function readTicket(plaintext: Buffer): CookieTicket | null {
  if (plaintext[at.version] !== version) return null
  const groupId = plaintext.toString('hex', at.groupId, at.groupId + groupIdBytes)
  const expiresAtMs = plaintext.readUIntBE(at.expiry, 6)
  switch (plaintext[at.kind]) {
    case Kind.targetGroup:
      return { kind: 'targetGroup', groupId, expiresAtMs }
    case Kind.targetIpv4:
      return { kind: 'target', groupId, ip: readAddress(plaintext, 1), port: readPort(plaintext), expiresAtMs }
    case Kind.targetIpv6:
      return { kind: 'target', groupId, ip: readAddress(plaintext, 4), port: readPort(plaintext), expiresAtMs }
    default:
      return null
  }
}

function readAddress(plaintext: Buffer, wordCount: number): string {
  return formatAddressWords(Array.from({ length: wordCount }, (_, i) => plaintext.readUInt32BE(at.address + 4 * i)))
}

function readPort(plaintext: Buffer): number {
  return plaintext.readUInt16BE(at.port)
}
