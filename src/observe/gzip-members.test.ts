import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { MemberPacker, wholeMemberBytes } from './gzip-members.ts'
import { countedLine, temporaryFolder } from './log-test-support.ts'

async function wholeOf(t: TestContext, bytes: Buffer): Promise<number> {
  const path = join(await temporaryFolder(t), 'spool')
  await writeFile(path, bytes)
  const file = await open(path)
  try {
    return await wholeMemberBytes(file)
  } finally {
    await file.close()
  }
}

/** As long as several pieces, as one, and shorter; such that compress well and such that do not. */
const texts = [
  'a\n',
  countedLine(0, 1, 32 * 1024 - 20),
  countedLine(0, 2, 300_000),
  `${'the same line\n'.repeat(20_000)}`,
]

test('members are gzip, each for itself and joined, whatever came before', async () => {
  const packer = new MemberPacker()
  const members: Buffer[] = []
  for (const text of texts) members.push(await packer.pack(Buffer.from(text)))
  for (const [index, member] of members.entries()) assert.equal(gunzipSync(member).toString(), texts[index])
  assert.equal(gunzipSync(Buffer.concat(members)).toString(), texts.join(''))
})

test('gzip itself finds nothing wrong with them', async () => {
  const packer = new MemberPacker()
  const input = Buffer.concat([await packer.pack(Buffer.from('first\n')), await packer.pack(Buffer.from('second\n'))])
  assert.equal(execFileSync('gzip', ['-dc'], { input }).toString(), 'first\nsecond\n')
})

test('lines take a tenth of their size', async () => {
  const text =
    'http 2025-11-25T08:00:00.000000Z app/web/1fa8b17e4c17e7c7 127.0.0.1:40000 127.0.0.1:8080 0.000 0.001 0.000 200\n'
  const member = await new MemberPacker().pack(Buffer.from(text.repeat(2000)))
  assert.ok(member.length < (text.length * 2000) / 10)
})

test('wherever a killed process stopped writing, the members before are whole', async t => {
  const packer = new MemberPacker()
  const members = [await packer.pack(Buffer.from('first\n')), await packer.pack(Buffer.from('second\n'))]
  const all = Buffer.concat(members)
  for (let cut = 0; cut <= all.length; cut++) {
    const whole = await wholeOf(t, all.subarray(0, cut))
    assert.equal(
      whole,
      cut < members[0]!.length ? 0 : cut < all.length ? members[0]!.length : all.length,
      `cut at ${cut}`,
    )
  }
})

test('what is no member ends the file', async t => {
  const member = await new MemberPacker().pack(Buffer.from('a\n'))
  const sizeZero = Buffer.from(member)
  sizeZero.writeUInt32LE(0, 16)
  for (const rest of ['plain text, and more than a head of it', Buffer.alloc(100), sizeZero]) {
    assert.equal(await wholeOf(t, Buffer.concat([member, Buffer.from(rest)])), member.length)
  }
})

test('any text comes back, from a packer that is used again and again', async () => {
  const packer = new MemberPacker()
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), fc.integer({ min: 1, max: 40 }), async (bytes, times) => {
      const text = Buffer.concat(new Array<Uint8Array>(times).fill(bytes))
      assert.deepEqual(gunzipSync(await packer.pack(text)), text)
    }),
  )
})
