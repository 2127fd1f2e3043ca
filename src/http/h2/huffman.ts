/**
 * The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B).
 *
 * It is canonical: codes of one length count up in the order of their bytes, so that the lengths alone say it all.
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
  // The end is filled up with the beginning of the code that ends everything, which is ones.
  if (pendingBits > 0) out[at++] = (pending << (8 - pendingBits)) | (0xff >>> pendingBits)
  return at
}
