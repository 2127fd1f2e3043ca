import { type Case, testAccepted, testRefused, withConditions } from './marked.test-support.ts'

const repeat = (text: string, times: number) => text.repeat(times)
const one = (condition: string) => withConditions(`[{ ${condition} }]`)
const path = (values: string) => one(`field: path-pattern, values: ${values}`)
const host = (values: string) => one(`field: host-header, values: ${values}`)
const header = (name: string) => one(`field: http-header, httpHeaderName: ${name}, values: [a]`)
const headerValues = (values: string) => one(`field: http-header, httpHeaderName: X-A, values: ${values}`)
const methods = (values: string) => one(`field: http-request-method, values: ${values}`)
const query = (values: string) => one(`field: query-string, values: ${values}`)
const blocks = (values: string) => one(`field: source-ip, values: ${values}`)

testRefused([
  [
    'a field of no kind',
    one('field: «path, values: [/a]'),
    'field must be path-pattern, host-header, http-header, http-request-method, query-string or source-ip, not "path"',
  ],
  [
    'no values and no regular expressions, in each field that may have either',
    withConditions('[«{ field: path-pattern }, «{ field: host-header }, «{ field: http-header, httpHeaderName: X-A }]'),
    ...[0, 1, 2].map(() => 'values is missing: it must be a list of 1 to 3 values, unless there are regexValues'),
  ],
  [
    'values and regular expressions in one condition',
    one('field: path-pattern, values: [/a], regexValues: «[a]'),
    'regexValues cannot stand beside values: a condition is on one or the other',
  ],
  [
    'values that were refused are not called missing as well',
    one('field: path-pattern, values: «7'),
    'values must be a list of 1 to 3 values, not 7',
  ],
  ...(
    [
      ['field: http-request-method', 'values is missing: it must be a list of 1 to 3 methods'],
      ['field: query-string', 'values is missing: it must be a list of 1 to 3 values'],
      ['field: source-ip', 'values is missing: it must be a list of CIDR blocks'],
    ] as const
  ).map(([text, message]): Case => [`${text} without values`, withConditions(`[«{ ${text} }]`), message]),
  ...['http-request-method', 'query-string', 'source-ip'].map(
    (field): Case => [
      `regular expressions for ${field}`,
      one(`field: ${field}, values: [], «regexValues: [a]`).replace('values: []', 'values: «[]'),
      /values must hold .*/,
      /unknown key "regexValues".*/,
    ],
  ),
  ['no values', path('«[]'), 'values must hold 1 to 3 values, not none'],
  ['four values in a condition', path('«[/a, /b, /c, /d]'), 'values must hold 1 to 3 values, not 4'],
  ['four header values', headerValues('«[a, b, c, d]'), 'values must hold 1 to 3 values, not 4'],
  ['four methods', methods('«[A, B, C, D]'), 'values must hold 1 to 3 methods, not 4'],
  [
    'four query values',
    query('«[{ value: a }, { value: b }, { value: c }, { value: d }]'),
    'values must hold 1 to 3 values, not 4',
  ],
  [
    'four regular expressions',
    one('field: path-pattern, regexValues: «[a, b, c, d]'),
    'regexValues must hold 1 to 3 regular expressions, not 4',
  ],
])

testRefused([
  ['an empty value', path('[«""]'), 'values[0] must not be empty'],
  ['a path of 129', path(`[/a, «/${repeat('a', 128)}]`), 'values[1] must be at most 128 characters, not 129'],
  ...['é', '%', '#', '?a=b;', '{', ' ', '\\\\'].map((wrong): Case => {
    const shown = wrong === '?a=b;' ? '"="' : `"${wrong}"`
    return [
      `a path with ${wrong}`,
      path(`[«"/a${wrong}"]`),
      `values[0] must not hold ${shown}: allowed are letters, digits, _ - . $ / ~ " ' @ : + & and the wildcards * and ?`,
    ]
  }),
  ...['a_b.com', 'a.com:80', 'a.com/x'].map((wrong): Case => {
    const shown = /[^a-z.]/.exec(wrong)?.[0]
    return [
      `the host ${wrong}`,
      host(`[«"${wrong}"]`),
      `values[0] must not hold "${shown}": allowed are letters, digits, - . and the wildcards * and ?`,
    ]
  }),
  ...['localhost', '*', 'example.*', '10.0.0.1', 'example.com.'].map(
    (wrong): Case => [
      `the host ${wrong}`,
      host(`[«"${wrong}"]`),
      `values[0] must be a host pattern with a dot, and letters only after the last one, not "${wrong}"`,
    ],
  ),
])

testAccepted([
  ['every character of a path', path(`['/aZ9_-.$~"@:+&*?', "/'"]`)],
  ['a path of 128', path(`[/${repeat('a', 127)}]`)],
  ['hosts', host('["*.example.com", a-b.c, "?.X.com"]')],
])

testRefused([
  [
    'a regular expression of 129',
    one(`field: host-header, regexValues: [a, «${repeat('a', 129)}]`),
    'regexValues[1] must be at most 128 characters, not 129',
  ],
  ['an empty regular expression', one('field: path-pattern, regexValues: [«""]'), 'regexValues[0] must not be empty'],
  [
    'a regular expression that is a number',
    one('field: path-pattern, regexValues: [«7]'),
    'regexValues[0] must be a regular expression, not 7',
  ],
  [
    'a regular expression beyond the dialect of the service',
    one('field: path-pattern, regexValues: [«"a(?=b)"]'),
    /regexValues\[0] must not use .*look.*/,
  ],
  [
    'a regular expression that is none',
    one('field: http-header, httpHeaderName: X-A, regexValues: [a, «"(b"]'),
    /regexValues\[1] is not a valid regular expression: .+/,
  ],
])

testAccepted([
  ['a regular expression of 128', one(`field: path-pattern, regexValues: [${repeat('a', 128)}]`)],
  [
    'regular expressions in three fields',
    withConditions(`[{ field: path-pattern, regexValues: ["^/a[0-9]+$"] }, { field: host-header, regexValues: [b, c] },
            { field: http-header, httpHeaderName: X-A, regexValues: ["d|e"] }]`),
  ],
])

const allowedInName = "letters, digits and ! # $ % & ' * + - . ^ _ ` | ~"

testRefused([
  [
    'a header without a name',
    withConditions('[«{ field: http-header, values: [a] }]'),
    'httpHeaderName is missing: it must be the name of a header, such as "User-Agent"',
  ],
  ['an empty header name', header('«""'), 'httpHeaderName must not be empty'],
  ['a header name of 41', header(`«${repeat('a', 41)}`), 'httpHeaderName must be at most 40 characters, not 41'],
  ['a header name with a colon', header('«"X:"'), `httpHeaderName must not hold ":": allowed are ${allowedInName}`],
  ['a header name with a blank', header('«"X A"'), `httpHeaderName must not hold " ": allowed are ${allowedInName}`],
  ...['host', 'Host'].map(
    (name): Case => [
      `the header ${name}`,
      header(`«${name}`),
      'httpHeaderName must not be the Host header, which host-header conditions look at',
    ],
  ),
  [
    'a header value of 129',
    headerValues(`[«${repeat('a', 129)}]`),
    'values[0] must be at most 128 characters, not 129',
  ],
  ['an empty header value', headerValues('[«""]'), 'values[0] must not be empty'],
  ...['\\t', '\\u007f', 'é'].map(
    (wrong): Case => [
      `a header value with ${wrong}`,
      headerValues(`[«"a${wrong}"]`),
      /values\[0] must not hold ".+": allowed are visible ASCII characters and blanks/,
    ],
  ),
])

testAccepted([
  ['a header name of 40', header(repeat('a', 40))],
  ['every character of a header name', header(`"!#$%&'*+-.^_\`|~aZ9"`)],
  ['a header value of 128', headerValues(`[${repeat('a', 128)}]`)],
  ['any visible character and blanks in a header value', headerValues(`["~ !\\"#$%&'()+,-./:;<=>@[\\\\]^_\`{|}"]`)],
])

const allowedInMethod = 'capital letters, - and _, and no wildcards'

testRefused([
  ['an empty method', methods('[«""]'), 'values[0] must not be empty'],
  ['a method of 41', methods(`[«${repeat('A', 41)}]`), 'values[0] must be at most 40 characters, not 41'],
  ['a method in small letters', methods('[GET, «get]'), `values[1] must not hold "g": allowed are ${allowedInMethod}`],
  ['a method with a wildcard', methods('[«"P*"]'), `values[0] must not hold "*": allowed are ${allowedInMethod}`],
])

testAccepted([
  ['a method of 40', methods(`[${repeat('A', 40)}]`)],
  ['methods of one’s own', methods('[GET, M-SEARCH, MY_OWN]')],
])

testRefused([
  ['a query value that is text', query('[«a=b]'), 'values[0] must be a map with key and value, not "a=b"'],
  ['a query value without its value', query('[«{ key: a }]'), 'value is missing: it must be a text'],
  ['an empty query value', query('[{ key: a, value: «"" }]'), 'value must not be empty'],
  ['an empty query key', query('[{ key: «"", value: a }]'), 'key must not be empty'],
  ['a query value that is a number', query('[{ key: a, value: «1 }]'), 'value must be a text, not 1'],
  ['a query value of 129', query(`[{ value: «${repeat('a', 129)} }]`), 'value must be at most 128 characters, not 129'],
  [
    'a query key of 129',
    query(`[{ key: «${repeat('a', 129)}, value: a }]`),
    'key must be at most 128 characters, not 129',
  ],
  [
    'a query value with a control character',
    query('[{ value: «"a\\nb" }]'),
    'value must not hold "\\n": allowed are visible ASCII characters and blanks',
  ],
  ...["a\\'", "\\\\\\'"].map(
    (text): Case => [
      `the query value '${text} with its loose backslash`,
      query(`[{ value: «'${text} }]`),
      'value must not end in a backslash that escapes nothing',
    ],
  ),
])

testAccepted([
  ['a query key and value of 128', query(`[{ key: ${repeat('a', 128)}, value: ${repeat('b', 128)} }]`)],
  ['an escaped backslash at the end', query("[{ value: 'a\\\\' }]")],
])

const cidr = (shown: string) => `values[0] must be a CIDR block such as "10.0.0.0/8" or "2001:db8::/32", not "${shown}"`
const begin = (network: string, shown: string) =>
  `values[0] must begin at its network address, as "${network}" does, not "${shown}"`

testRefused([
  [
    'six blocks',
    withConditions(
      '«[{ field: source-ip, values: [10.0.0.0/8, 11.0.0.0/8, 12.0.0.0/8, 13.0.0.0/8, 14.0.0.0/8, 15.0.0.0/8] }]',
    ),
    'conditions must have at most 5 values in all, not 6',
  ],
  ['no blocks', blocks('«[]'), 'values must hold at least one CIDR block'],
  ...['10.0.0.0/33', '10.0.0/8', '10.0.0.0/08', '10.0.0.0/', '2001:db8::/129', 'fe80::%lo/10', '/8', 'localhost'].map(
    (text): Case => [`the block ${text}`, blocks(`[«"${text}"]`), cidr(text)],
  ),
  ['a block that is a number', blocks('[«8]'), 'values[0] must be a CIDR block such as "10.0.0.0/8", not 8'],
  [
    'an address without a prefix',
    blocks('[«10.0.0.1]'),
    'values[0] must be a CIDR block: for this one address, "10.0.0.1/32"',
  ],
  [
    'an IPv6 address without a prefix',
    blocks('[«"2001:DB8:0::1"]'),
    'values[0] must be a CIDR block: for this one address, "2001:db8::1/128"',
  ],
  [
    'the broadcast address',
    blocks('[«255.255.255.255/32]'),
    'values[0] "255.255.255.255/32" is not taken by the service',
  ],
  ...(
    [
      ['10.0.0.1/8', '10.0.0.0/8'],
      ['192.168.129.0/17', '192.168.128.0/17'],
      ['1.2.3.4/0', '0.0.0.0/0'],
      ['255.255.255.255/31', '255.255.255.254/31'],
      ['2001:db8::1/32', '2001:db8::/32'],
      ['ffff::/1', '8000::/1'],
      ['2001:DB8:FFFF:0:0:0:0:0/33', '2001:db8:8000::/33'],
      ['::ffff:10.0.0.1/104', '::ffff:10.0.0.0/104'],
    ] as const
  ).map(([text, network]): Case => [`the block ${text}`, blocks(`[«"${text}"]`), begin(network, text)]),
])

testAccepted([
  [
    'blocks of both families, up to the five values of a rule',
    blocks('[0.0.0.0/0, 10.1.2.3/32, 192.168.128.0/17, "::/0", "2001:DB8:0:0::/33"]'),
  ],
])
