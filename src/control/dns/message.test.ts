import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Answer, Rcode, RecordType, readQuery, writeAnswer } from './message.ts'

/** Hex with comments: everything but hex digits in pairs is left out of lines before a `;`. */
const bytes = (text: string): Buffer => Buffer.from(text.replaceAll(/;.*$/gm, '').replaceAll(/\s/g, ''), 'hex')

const question = '03 57 45 62  04 74 65 73 74  00  0001 0001 ; WEb.test A IN'
const header = (flags: string, counts: string) => `beef ${flags} ${counts}`
const plain = `${header('0100', '0001 0000 0000 0000')} ${question}`
const opt = (version: string) => `00 0029 1000 00 ${version} 0000 0000 ; OPT`

test('a question is read in lower case, and kept as it came', () => {
  const query = readQuery(bytes(plain))!
  assert.equal(query.fault, null)
  assert.equal(query.hasEdns, false)
  assert.deepEqual(
    { ...query.question, bytes: query.question!.bytes.toString('hex') },
    { name: 'web.test', type: RecordType.a, class: 1, bytes: bytes(question).toString('hex') },
  )
})

test('the root is a name, and a dot within a label is none between two', () => {
  const named = (name: string) =>
    readQuery(bytes(`${header('0000', '0001 0000 0000 0000')} ${name} 0001 0001`))!.question!.name
  assert.equal(named('00'), '')
  assert.equal(named('03 612e62 00'), 'a\\.b')
})

for (const [what, text, fault] of [
  ['nothing', '', null],
  ['half a header', 'beef 0100 0001 0000 0000', null],
  ['an answer', plain.replace('0100', '8100'), null],
  ['another opcode', plain.replace('0100', '2800'), Rcode.notImp],
  ['no question', header('0100', '0000 0000 0000 0000'), Rcode.formErr],
  ['two questions', `${header('0100', '0002 0000 0000 0000')} ${question} ${question}`, Rcode.formErr],
  ['a question that is cut off in its name', `${header('0100', '0001 0000 0000 0000')} 03 5745`, Rcode.formErr],
  ['a name without an end', `${header('0100', '0001 0000 0000 0000')} 01 61`, Rcode.formErr],
  ['a question without a class', `${header('0100', '0001 0000 0000 0000')} 00 0001`, Rcode.formErr],
  ['a name that points to itself', `${header('0100', '0001 0000 0000 0000')} c00c 0001 0001`, Rcode.formErr],
  ['a label of 64', `${header('0100', '0001 0000 0000 0000')} 40 ${'61'.repeat(64)} 00 0001 0001`, Rcode.formErr],
  [
    'a name of 256',
    `${header('0100', '0001 0000 0000 0000')} ${`3f${'61'.repeat(63)}`.repeat(4)} 00 0001 0001`,
    Rcode.formErr,
  ],
  ['bytes behind the end', `${plain}\n00`, Rcode.formErr],
  ['a record that is not there', `${header('0100', '0001 0000 0000 0001')} ${question}`, Rcode.formErr],
  ['a record that is cut off', `${header('0100', '0001 0000 0000 0001')} ${question}\n 00 0029 1000`, Rcode.formErr],
  [
    'a record longer than the message',
    `${header('0100', '0001 0000 0000 0001')} ${question}\n 00 0029 1000 00000000 0005 61`,
    Rcode.formErr,
  ],
  [
    'two OPT records',
    `${header('0100', '0001 0000 0000 0002')} ${question}\n${opt('00')}\n${opt('00')}`,
    Rcode.formErr,
  ],
  ['a later version of EDNS', `${header('0100', '0001 0000 0000 0001')} ${question}\n${opt('01')}`, Rcode.badVers],
] as const) {
  test(`${what} is no query${fault === null ? ', and not answered' : ''}`, () => {
    const query = readQuery(bytes(text))
    assert.equal(query?.fault ?? null, fault)
    assert.equal(query === null, fault === null)
  })
}

test('records beside the question are passed over, compressed names and all', () => {
  const tsig = 'c00c 00fa 00ff 00000000 0003 616263'
  const query = readQuery(bytes(`${header('0100', '0001 0000 0000 0002')} ${question}\n${opt('00')}\n${tsig}`))!
  assert.deepEqual([query.fault, query.hasEdns], [null, true])
})

const empty: Answer = { rcode: Rcode.noError, addresses: [], ttlSeconds: 60, authority: null }
const answered = (text: string, answer: Partial<Answer>) =>
  writeAnswer(readQuery(bytes(text))!, { ...empty, ...answer }).toString('hex')

test('an answer has the question to the letter, and addresses of both kinds', () => {
  assert.equal(
    answered(plain, { addresses: ['127.31.2.1', '2001:db8::ff'] }),
    bytes(`${header('8500', '0001 0002 0000 0000')} ${question}
      c00c 0001 0001 0000003c 0004 7f1f0201
      c00c 001c 0001 0000003c 0010 20010db8 00000000 00000000 000000ff`).toString('hex'),
  )
})

test('an answer without addresses says who has the say, and for how long there are none', () => {
  const soa = `04 74657374 00 0006 0001 0000003c 002b
    04 74657374 00 0a 686f73746d6173746572 04 74657374 00 ; test hostmaster.test
    00000001 00001c20 00000384 00127500 0000003c`
  assert.equal(
    answered(plain, { rcode: Rcode.nxDomain, authority: 'test' }),
    bytes(`${header('8503', '0001 0000 0001 0000')} ${question}\n${soa}`).toString('hex'),
  )
})

test('who speaks EDNS is answered in kind, with the upper bits of the code', () => {
  const later = `${header('0100', '0001 0000 0000 0001')} ${question}\n${opt('01')}`
  assert.equal(
    answered(later, { rcode: Rcode.badVers }),
    bytes(`${header('8100', '0001 0000 0000 0001')} ${question}\n00 0029 04d0 01 00 0000 0000`).toString('hex'),
  )
})

test('a refusal without a readable question has none', () => {
  assert.equal(answered(plain.replace('0100', '2800'), { rcode: Rcode.notImp }), 'beefa8040000000000000000')
})

test('any bytes are read to a query, a fault or nothing, and an answer fits in 512', () => {
  const addresses = Array.from({ length: 8 }, (_, at) => `2001:db8::${at}`)
  const check = (message: Uint8Array) => {
    const query = readQuery(Buffer.from(message))
    if (query === null) return
    assert.ok(query.fault !== null || query.question !== null)
    assert.ok(writeAnswer(query, { ...empty, addresses }).length <= 512)
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), check))
  const valid = bytes(`${header('0100', '0001 0000 0000 0001')} ${question}\n${opt('00')}`)
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 6 }), changes => {
      const mutated = Buffer.from(valid)
      for (const [at, byte] of changes) mutated[at] = byte
      check(mutated)
    }),
  )
})
