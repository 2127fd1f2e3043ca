/**
 * The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B).
 *
 * It is canonical: codes of one length count up in the order of their bytes, so that the lengths alone say it all. The
 * last code of all, thirty ones, ends everything and must not occur; its beginning fills up the last byte.
 */

/** The bytes whose codes are that long. */
const bytesByLength: Readonly<Record<number, readonly number[]>> = {
  5: codesOf('012aceiost'),
  6: codesOf(' %-./3456789=A_bdfghlmnpru'),
  7: codesOf(':BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz'),
  8: codesOf('&*,;XZ'),
  10: codesOf('!"()?'),
  11: codesOf("'+|"),
  12: codesOf('#>'),
  13: codesOf('\0$@[]~'),
  14: codesOf('^}'),
  15: codesOf('<`{'),
  19: [0x5c, 195, 208],
  20: [128, 130, 131, 162, 184, 194, 224, 226],
  21: [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230],
  22: [
    ...[129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190],
    ...[196, 198, 228, 232, 233],
  ],
  23: [
    ...[1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180],
    ...[182, 183, 188, 191, 197, 231, 239],
  ],
  24: [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237],
  25: [199, 207, 234, 235],
  26: [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255],
  27: [203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254],
  28: [
    ...[2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31],
    ...[127, 220, 249],
  ],
  30: [10, 13, 22],
}

function codesOf(text: string): readonly number[] {
  return [...text].map(c => c.charCodeAt(0))
}

/** Of each byte: its code, in the low bits, and how many bits that is. */
const codes = new Uint32Array(256)
const lengths = new Uint8Array(256)
{
  let next = 0
  let lastLength = 0
  for (const [length, bytes] of Object.entries(bytesByLength)) {
    next <<= Number(length) - lastLength
    lastLength = Number(length)
    for (const byte of bytes) {
      codes[byte] = next++
      lengths[byte] = lastLength
    }
  }
}

/** A code of bytes. In `lowerCaseCode` upper-case letters have the codes of lower-case ones. */
export type Code = { readonly codes: Uint32Array; readonly lengths: Uint8Array }
export const plainCode: Code = { codes, lengths }
export const lowerCaseCode: Code = { codes: codes.slice(), lengths: lengths.slice() }
for (let c = 0x41; c <= 0x5a; c++) {
  lowerCaseCode.codes[c] = codes[c | 0x20]!
  lowerCaseCode.lengths[c] = lengths[c | 0x20]!
}

/** How many bytes `from` to `to` become. */
export function encodedLength(code: Code, bytes: Uint8Array, from: number, to: number): number {
  const { lengths } = code
  let bits = 0
  for (let i = from; i < to; i++) bits += lengths[bytes[i]!]!
  return (bits + 7) >>> 3
}

/** @returns the position after the last byte written, from `at`; there must be room for `encodedLength` */
export function encode(code: Code, bytes: Uint8Array, from: number, to: number, out: Uint8Array, at: number): number {
  const { codes, lengths } = code
  let pending = 0
  let pendingBits = 0
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!
    let length = lengths[byte]!
    if (length > 24) {
      // Rare, and with what is pending too long for 32 bits at once.
      length -= 8
      pending = (pending << length) | (codes[byte]! >>> 8)
      pendingBits += length
      while (pendingBits >= 8) {
        pendingBits -= 8
        out[at++] = pending >>> pendingBits
      }
      length = 8
      pending = (pending << 8) | (codes[byte]! & 0xff)
    } else pending = (pending << length) | codes[byte]!
    pendingBits += length
    while (pendingBits >= 8) {
      pendingBits -= 8
      out[at++] = pending >>> pendingBits
    }
  }
  if (pendingBits > 0) out[at++] = (pending << (8 - pendingBits)) | (0xff >>> pendingBits)
  return at
}

/**
 * Decoding walks the tree of the code, four bits at a step: no code is shorter than five, so no step meets more than one
 * byte. Of each node and half byte: the byte met, the next node times 16, whether a byte was met, whether the end was.
 */
const steps = new Uint32Array(256 * 16)
const nodeShift = 8
const nodeMask = 0xff0
const meetsByte = 1 << 20
const meetsEnd = 1 << 21
/** 1 for the nodes that a string may end in: less than eight bits of the last code, all ones, were read. */
const mayEnd = new Uint8Array(256)

{
  /** Two places per node, for 0 and for 1: the number of another node, or a byte as `~byte`, or none for the end. */
  const children: (number | undefined)[] = [undefined, undefined]
  for (let byte = 0; byte < 256; byte++) {
    let node = 0
    for (let bit = lengths[byte]! - 1; bit > 0; bit--) {
      const place = 2 * node + ((codes[byte]! >>> bit) & 1)
      children[place] ??= children.push(undefined, undefined) / 2 - 1
      node = children[place]!
    }
    children[2 * node + (codes[byte]! & 1)] = ~byte
  }
  for (let node = 0; node < 256; node++) {
    for (let bits = 0; bits < 16; bits++) steps[16 * node + bits] = stepFrom(children, node, bits)
  }
  for (let node = 0, depth = 0; depth < 8; depth++) {
    mayEnd[node] = 1
    node = children[2 * node + 1]!
  }
}

function stepFrom(children: readonly (number | undefined)[], from: number, bits: number): number {
  let node = from
  let met = 0
  for (let bit = 3; bit >= 0; bit--) {
    const child = children[2 * node + ((bits >>> bit) & 1)]
    if (child === undefined) return meetsEnd
    if (child < 0) met = meetsByte | ~child
    node = Math.max(0, child)
  }
  return met | (node << (nodeShift + 4))
}

/**
 * @param out has room for 8/5 of what is read
 * @returns the position after the last byte written, from `at`; -1 where it is no valid code
 */
export function decode(bytes: Uint8Array, from: number, to: number, out: Uint8Array, at: number): number {
  let step = 0
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!
    step = steps[((step >>> nodeShift) & nodeMask) | (byte >>> 4)]!
    if (step >= meetsByte) {
      if (step >= meetsEnd) return -1
      out[at++] = step
    }
    step = steps[((step >>> nodeShift) & nodeMask) | (byte & 0xf)]!
    if (step >= meetsByte) {
      if (step >= meetsEnd) return -1
      out[at++] = step
    }
  }
  return mayEnd[(step >>> (nodeShift + 4)) & 0xff] === 1 ? at : -1
}
