/** Writes DER (X.690), as much of it as certificates and revocation lists need. */

export function tagged(tag: number, ...content: readonly Buffer[]): Buffer {
  const body = Buffer.concat(content)
  if (body.length < 0x80) return Buffer.concat([Buffer.of(tag, body.length), body])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(body.length)
  const digits = length.subarray(length.findIndex(byte => byte > 0))
  return Buffer.concat([Buffer.of(tag, 0x80 + digits.length), digits, body])
}

export function sequence(...content: readonly Buffer[]): Buffer {
  return tagged(0x30, ...content)
}

export function set(...content: readonly Buffer[]): Buffer {
  return tagged(0x31, ...content)
}

export function context(number: number, ...content: readonly Buffer[]): Buffer {
  return tagged(0xa0 + number, ...content)
}

/** @param bytes two's complement */
export function integer(bytes: Buffer): Buffer {
  return tagged(0x02, bytes)
}

export function bitString(bytes: Buffer): Buffer {
  return tagged(0x03, Buffer.of(0), bytes)
}

export function octetString(...content: readonly Buffer[]): Buffer {
  return tagged(0x04, ...content)
}

export const derTrue: Buffer = tagged(0x01, Buffer.of(0xff))
export const derNull: Buffer = tagged(0x05)

export function utf8String(text: string): Buffer {
  return tagged(0x0c, Buffer.from(text))
}

/** Of the years 1950 to 2049. */
export function utcTime(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\..*/g, '')
  return tagged(0x17, Buffer.from(`${digits.slice(2)}Z`))
}

/** @param dotted such as `2.5.4.3` */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split('.').map(Number)
  return tagged(0x06, Buffer.from([first * 40 + second, ...others].flatMap(base128)))
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f]
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) bytes.unshift((rest & 0x7f) | 0x80)
  return bytes
}

/** @param value DER of what the extension says */
export function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return sequence(oid(id), ...(isCritical ? [derTrue] : []), octetString(value))
}

/** A name of one attribute: all that most need. */
export function commonNameOnly(commonName: string): Buffer {
  return distinguishedName(['2.5.4.3', utf8String(commonName)])
}

export function distinguishedName(...attributes: readonly (readonly [type: string, value: Buffer])[]): Buffer {
  return sequence(...attributes.map(([type, value]) => set(sequence(oid(type), value))))
}

export function pem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`
}

/** Of the first block. */
export function derOf(text: string): Buffer {
  return Buffer.from(/-----BEGIN [^-]*-----([^-]*)/.exec(text)?.[1] ?? '', 'base64')
}
