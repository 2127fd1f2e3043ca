/** What each byte may be, as 256-entry tables: one lookup per byte, no branches. */

/** 1 where the byte may stand in a field name or a method (RFC 9110, section 5.6.2). */
export const tokenByte = new Uint8Array(256)
for (const c of "!#$%&'*+-.^_`|~0123456789") tokenByte[c.charCodeAt(0)] = 1
for (let c = 0x41; c <= 0x5a; c++) tokenByte[c] = tokenByte[c | 0x20] = 1

/** 1 where the byte may stand in a field name as ALB defines a valid one: letters, digits, hyphen. */
export const plainNameByte = new Uint8Array(256)
for (let c = 0; c < 256; c++) plainNameByte[c] = /[-A-Za-z0-9]/.test(String.fromCharCode(c)) ? 1 : 0

/** 1 where the byte may stand in a field value: HTAB, SP, visible ASCII and obs-text (RFC 9110, section 5.5). */
export const valueByte = new Uint8Array(256)
valueByte[0x09] = 1
for (let c = 0x20; c <= 0xff; c++) valueByte[c] = c === 0x7f ? 0 : 1

/** 1 where the byte may stand in a request target: visible ASCII, and bytes above it, which clients do send raw. */
export const targetByte = new Uint8Array(256)
for (let c = 0x21; c <= 0xff; c++) targetByte[c] = c === 0x7f ? 0 : 1

/** 1 where the byte may stand in a host name: reg-name without percent-encoding (RFC 3986, section 3.2.2). */
export const nameByte = new Uint8Array(256)
for (const c of "-._~!$&'()*+,;=") nameByte[c.charCodeAt(0)] = 1
for (let c = 0; c < 256; c++) if (/[A-Za-z0-9]/.test(String.fromCharCode(c))) nameByte[c] = 1

/** 1 where the byte may stand between the brackets of an IPv6 literal, one with an IPv4 tail included. */
export const ipv6Byte = new Uint8Array(256)
for (const c of '0123456789abcdefABCDEF:.') ipv6Byte[c.charCodeAt(0)] = 1

/** The value of a hexadecimal digit, 255 for every other byte. */
export const hexValue = new Uint8Array(256).fill(255)
for (let v = 0; v < 16; v++) {
  hexValue[v.toString(16).charCodeAt(0)] = v
  hexValue[v.toString(16).toUpperCase().charCodeAt(0)] = v
}

export const CR = 0x0d
export const LF = 0x0a
export const SP = 0x20
export const HTAB = 0x09

/** White space within a line. */
export function isBlank(byte: number | undefined): boolean {
  return byte === SP || byte === HTAB
}

/** Bytes by which a line or a text ends early for somebody: no field and no target may hold them. */
export function isBreaking(byte: number | undefined): boolean {
  return byte === 0 || byte === CR || byte === LF
}
