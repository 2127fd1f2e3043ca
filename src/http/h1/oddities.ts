/**
 * What is odd about the lines of a request head, by the names of the public library, and in its order: line ends, each
 * field, method, version, target. Runs only where the parser met a line that is not as it should be.
 *
 * @see https://github.com/aws/http-desync-guardian
 */

import { Desync } from '../../model/desync.ts'
import { isBlank, isBreaking, SP, targetByte, tokenByte, valueByte } from '../tables.ts'
import { Field } from './fields.ts'
import type { RequestHead } from './request-head.ts'

export function classifyLineEnds(head: RequestHead): void {
  if (head.hasBareLf) head.meaning.classify(Desync.NonCrLfLineTermination)
  if (head.hasFolding) head.meaning.classify(Desync.MultilineHeader)
}

export function classifyField(head: RequestHead, i: number): void {
  const { meaning } = head
  const isFolded = head.field(i) === Field.folded
  const from = head.nameFrom(i)
  const to = head.nameTo(i)
  const isBad =
    classifyText(head, isFolded ? valueByte : tokenByte, from, to) ||
    classifyText(head, valueByte, head.valueFrom(i), head.valueTo(i))
  if (isBad || isFolded) return
  let at = from
  while (at < to && isBlank(head.bytes[at])) at++
  if (at === to) meaning.classify(Desync.EmptyHeader)
}

/** @returns whether it holds a byte that no field may hold */
function classifyText(head: RequestHead, allowed: Uint8Array, from: number, to: number): boolean {
  const { bytes, meaning } = head
  let isBad = false
  let isOdd = false
  for (let at = from; at < to; at++) {
    if (allowed[bytes[at]!] === 1) continue
    isOdd = true
    if (isBreaking(bytes[at])) isBad = true
  }
  if (isBad) meaning.classify(Desync.BadHeader)
  else if (isOdd) meaning.classify(Desync.NonCompliantHeader)
  return isBad
}

/** A bad method, version or target leaves nothing that could be written in another way and mean the same. */
export function classifyRequestLine(head: RequestHead): void {
  if (!isToken(head, head.methodFrom, head.methodTo)) classifyUnreadable(head, Desync.BadMethod)
  classifyVersion(head)
  classifyTarget(head)
}

function isToken(head: RequestHead, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (tokenByte[head.bytes[at]!] === 0) return false
  return true
}

function classifyUnreadable(head: RequestHead, reason: number): void {
  head.meaning.isUnreadable = true
  head.meaning.classify(reason)
}

function classifyVersion(head: RequestHead): void {
  const { meaning } = head
  let from = head.versionFrom
  let to = head.versionTo
  while (from < to && isBlank(head.bytes[from])) from++
  while (to > from && isBlank(head.bytes[to - 1])) to--
  const hasBlanks = to - from !== head.versionTo - head.versionFrom
  if (head.isOldest) meaning.wantsKeepAlive = false
  if (head.isSimple || head.isOldest) meaning.classify(Desync.NonCompliantVersion)
  else if (!/^HTTP\/1\.[0-9]$/.test(head.text(from, to))) classifyUnreadable(head, Desync.BadVersion)
  else if (hasBlanks || head.bytes[to - 1]! > 0x31) meaning.classify(Desync.NonCompliantVersion)
}

/** Spaces at its ends are no part of the target, but odd all the same. */
function classifyTarget(head: RequestHead): void {
  const { bytes, meaning } = head
  const from = head.methodTo + 1
  const to = head.isSimple ? head.versionTo : head.versionFrom - 1
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    if (targetByte[byte] === 1) continue
    if (at >= head.targetFrom && at < head.targetTo) meaning.hasOddTarget = true
    if (isBreaking(byte)) classifyUnreadable(head, Desync.BadUri)
    else meaning.classify(byte === SP ? Desync.SpaceInUri : Desync.AmbiguousUri)
  }
}

/**
 * Makes spaces of the control bytes in values, as RFC 9110 allows (section 5.5): to some, every one of them ends a line.
 * Done in the head itself, so that nobody who passes a value on needs to know.
 */
export function blankControls(head: RequestHead): void {
  const { bytes } = head
  for (let i = 0; i < head.fieldCount; i++) {
    for (let at = head.valueFrom(i); at < head.valueTo(i); at++) if (valueByte[bytes[at]!] === 0) bytes[at] = SP
  }
}
