import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { configJsonSchema } from '../config.ts'
import {
  type Case,
  testAccepted,
  testRefused,
  withConditions,
  withDefaultAction,
  withFixedResponse,
  withGroup,
  withLoadBalancer,
  withRedirect,
  withRules,
} from './marked.test-support.ts'

const repeat = (text: string, times: number) => text.repeat(times)
const forward = '{ type: forward, targetGroup: app }'
const loadBalancerName = (shown: string) =>
  `name must be 1 to 32 letters, digits and hyphens, with no hyphen first or last, and not start with internal-, not ${shown}`
const groupName = (shown: string) =>
  `name must be 1 to 32 letters, digits and hyphens, with no hyphen first or last, not ${shown}`

testRefused([
  ['a load balancer without a name', 'loadBalancers:\n  - «listeners: []', /name is missing: it must be 1 to 32 .*/],
  ['a name with an underscore', 'loadBalancers: [{ name: «my_web }]', loadBalancerName('"my_web"')],
  ['a name that starts with a hyphen', 'loadBalancers: [{ name: «-web }]', loadBalancerName('"-web"')],
  ['a name that ends with a hyphen', 'loadBalancers: [{ name: «web- }]', loadBalancerName('"web-"')],
  ['a reserved name', 'loadBalancers: [{ name: «internal-web }]', loadBalancerName('"internal-web"')],
  ['a name of 33', `loadBalancers: [{ name: «${repeat('a', 33)} }]`, loadBalancerName(`"${repeat('a', 33)}"`)],
  ['a name that is a number', 'loadBalancers: [{ name: «7 }]', loadBalancerName('7')],
  ['a bind that is no address', withLoadBalancer('bind: «lo'), 'bind must be an IPv4 or IPv6 address, not "lo"'],
  [
    'a bind with an IPv6 zone',
    withLoadBalancer('bind: [«"fe80::1%lo"]'),
    'bind[0] must be an IPv4 or IPv6 address, not "fe80::1%lo"',
  ],
  ['no bind at all', withLoadBalancer('bind: «[]'), 'bind must hold at least one address'],
  ['a DNS name', withLoadBalancer('«dnsName: a.b'), 'dnsName follows from the name and cannot be set'],
  ['a scheme', withLoadBalancer('«scheme: internal'), 'scheme is not supported yet'],
  [
    'a misspelt key, with the one meant and those allowed',
    withLoadBalancer('«listener: []'),
    'unknown key "listener": did you mean "listeners"? (allowed: name, bind, availabilityZones, attributes, listeners)',
  ],
  [
    'a key that nothing resembles, with those allowed',
    withLoadBalancer('«frontends: []'),
    'unknown key "frontends"; allowed: name, bind, availabilityZones, attributes, listeners',
  ],
  [
    'an API key in its own letter case',
    withLoadBalancer('«Bind: 0.0.0.0'),
    /unknown key "Bind": did you mean "bind"\?.*/,
  ],
  ['a key that objects have', '«__proto__: {}', /unknown key "__proto__"; allowed: .*/],
  ['an empty list', withLoadBalancer('«listeners:'), 'listeners is empty: it must be a list of listeners'],
])

testAccepted([
  ['a name of 32', `loadBalancers: [{ name: ${repeat('a', 32)} }]`],
  ['a bind of both families', withLoadBalancer('bind: ["0.0.0.0", "::"]')],
  ['a file of only target groups', 'targetGroups: [{ name: app, protocol: HTTP, port: 1 }]'],
  ['JSON', '{"$schema": "x", "loadBalancers": [{\n\t"name": "web"}]}'],
])

const listener = (members: string) => withLoadBalancer(`listeners: [{ ${members} }]`)
const fixed = '{ type: fixed-response, fixedResponse: { statusCode: 200 } }'

testRefused([
  [
    'another protocol',
    listener(`protocol: «TCP, port: 443, defaultActions: [${fixed}]`),
    'protocol must be HTTP or HTTPS, not "TCP"',
  ],
  [
    'what listeners of the service have besides',
    listener(`protocol: HTTP, port: 1, defaultActions: [${fixed}], «tags: []`),
    'tags is not supported yet',
  ],
  [
    'port 0',
    listener(`protocol: HTTP, port: «0, defaultActions: [${fixed}]`),
    'port must be a whole number from 1 to 65535, not 0',
  ],
  [
    'port 65536',
    listener(`protocol: HTTP, port: «65536, defaultActions: [${fixed}]`),
    'port must be a whole number from 1 to 65535, not 65536',
  ],
  [
    'a port as text',
    listener(`protocol: HTTP, port: «"80", defaultActions: [${fixed}]`),
    'port must be a whole number from 1 to 65535, not "80"',
  ],
  [
    'no default action',
    listener('protocol: HTTP, port: 80, defaultActions: «[]'),
    'defaultActions must hold one action (forward, redirect or fixed-response), not none',
  ],
  [
    'a missing default action, at the listener',
    withLoadBalancer('listeners: [«{ protocol: HTTP, port: 80 }]'),
    'defaultActions is missing: it must be a list of one action',
  ],
  [
    'two actions',
    listener(`protocol: HTTP, port: 80, defaultActions: «[${fixed}, ${fixed}]`),
    'defaultActions must hold one action (forward, redirect or fixed-response), not 2',
  ],
])

testRefused([
  ['authentication', withDefaultAction('{ type: «authenticate-oidc }'), 'type authenticate-oidc is not supported yet'],
  ['JWT validation', withDefaultAction('{ type: «jwt-validation }'), 'type jwt-validation is not supported yet'],
  [
    'an action of no kind',
    withDefaultAction('{ type: «proxy }'),
    'type must be forward, redirect or fixed-response, not "proxy"',
  ],
  [
    'an action without a type',
    withDefaultAction('«{ targetGroup: app }'),
    'type is missing: it must be forward, redirect or fixed-response',
  ],
  [
    'an action that is text',
    withDefaultAction('«forward'),
    'defaultActions[0] must be a map with type forward, redirect, fixed-response, not "forward"',
  ],
  [
    'a redirect that is not one',
    withDefaultAction('{ type: redirect, redirect: «/new }'),
    'redirect must be a map with protocol, host, port, path, query and statusCode, not "/new"',
  ],
])

const priority = (text: string) =>
  withRules(`{ priority: ${text}, conditions: [{ field: path-pattern, values: [/a] }], actions: [${forward}] }`)

testRefused([
  ['priority 0', priority('«0'), 'priority must be a whole number from 1 to 50000, not 0'],
  ['priority 50001', priority('«50001'), 'priority must be a whole number from 1 to 50000, not 50001'],
  ['a broken priority', priority('«1.5'), 'priority must be a whole number from 1 to 50000, not 1.5'],
  ['a rule without conditions', withConditions('«[]'), 'conditions must hold at least one condition'],
])

testAccepted([
  ['priority 1', priority('1')],
  ['priority 50000', priority('50000')],
])

testRefused([
  [
    'a redirect with another status',
    withRedirect('{ path: /a, statusCode: «HTTP_303 }'),
    'statusCode must be HTTP_301 or HTTP_302, not "HTTP_303"',
  ],
  [
    'a redirect without a status',
    withRedirect('«{ path: /a }'),
    'statusCode is missing: it must be HTTP_301 or HTTP_302',
  ],
  [
    'a redirect to another protocol',
    withRedirect('{ protocol: «ftp, statusCode: HTTP_301 }'),
    'protocol must be HTTP, HTTPS or #{protocol}, not "ftp"',
  ],
  ...['"0"', '0', '65536', '"65536"', '"080"', '"#{host}"', '"8#{port}"'].map(
    (port): Case => [
      `a redirect to port ${port}`,
      withRedirect(`{ port: «${port}, statusCode: HTTP_301 }`),
      `port must be a port from 1 to 65535, or "#{port}", not ${port}`,
    ],
  ),
  [
    'a port that became a comment',
    withDefaultAction('{ type: redirect, redirect: {\n     «port: #{port}\n      , statusCode: HTTP_301 } }'),
    'port is empty: it must be a port from 1 to 65535, or "#{port}"; quote a value that starts with "#", or it is a comment',
  ],
  ['an empty host', withRedirect('{ host: «"", statusCode: HTTP_301 }'), 'host must not be empty'],
  [
    'a host with a port',
    withRedirect('{ host: «"a.com:80", statusCode: HTTP_301 }'),
    'host must not hold ":": allowed are letters, digits, - . _ and #{host}',
  ],
  [
    'a host that would split the response',
    withRedirect('{ host: «"a\\r\\nX: y", statusCode: HTTP_301 }'),
    'host must not hold "\\r": allowed are letters, digits, - . _ and #{host}',
  ],
  [
    'a host of 129',
    withRedirect(`{ host: «${repeat('a', 129)}, statusCode: HTTP_301 }`),
    'host must be at most 128 characters, not 129',
  ],
  [
    'the path in a host',
    withRedirect('{ host: «"#{path}.com", statusCode: HTTP_301 }'),
    'host must not hold #{path}: allowed here are #{host}',
  ],
  [
    'a path without its slash',
    withRedirect('{ path: «"#{path}", statusCode: HTTP_301 }'),
    'path must start with "/", not "#{path}"',
  ],
  [
    'the query in a path',
    withRedirect('{ path: «"/#{query}", statusCode: HTTP_301 }'),
    'path must not hold #{query}: allowed here are #{host}, #{path} and #{port}',
  ],
  [
    'a placeholder of no meaning',
    withRedirect('{ path: «"/#{uri}", statusCode: HTTP_301 }'),
    'path must not hold #{uri}: allowed here are #{host}, #{path} and #{port}',
  ],
  [
    'a placeholder left open',
    withRedirect('{ path: «"/#{path", statusCode: HTTP_301 }'),
    'path must not hold #{path: allowed here are #{host}, #{path} and #{port}',
  ],
  [
    'a path with a blank',
    withRedirect('{ path: «"/a b", statusCode: HTTP_301 }'),
    'path must not hold " ": allowed are visible ASCII characters',
  ],
  [
    'a query with its question mark',
    withRedirect('{ path: /a, query: «"?a", statusCode: HTTP_301 }'),
    'query must not start with "?", which is put in for you',
  ],
])

testAccepted([
  [
    'every placeholder in a query',
    withRedirect('{ path: /, query: "#{protocol}#{host}#{port}#{path}#{query}", statusCode: HTTP_301 }'),
  ],
  ['the three placeholders in a path', withRedirect('{ path: "/#{host}/#{port}/#{path}#x", statusCode: HTTP_302 }')],
  ['an empty query', withRedirect('{ host: "www.#{host}", query: "", statusCode: HTTP_301 }')],
  ['a port as a number', withRedirect('{ protocol: HTTPS, port: 443, statusCode: HTTP_301 }')],
  ['a port as text', withRedirect('{ protocol: HTTPS, port: "443", statusCode: HTTP_301 }')],
])

const fixedStatus = (shown: string) => `statusCode must be a status from 200 to 299 or 400 to 599, not ${shown}`

testRefused([
  ...['199', '302', '"302"', '600', '"2xx"', '404.5'].map(
    (status): Case => [
      `a fixed response of ${status}`,
      withFixedResponse(`{ statusCode: «${status} }`),
      fixedStatus(status),
    ],
  ),
  [
    'a body of 1025',
    withFixedResponse(`{ statusCode: 200, messageBody: «${repeat('a', 1025)} }`),
    'messageBody must be at most 1024 characters, not 1025',
  ],
  [
    'another content type',
    withFixedResponse('{ statusCode: 200, contentType: «text/xml }'),
    'contentType must be text/plain, text/css, text/html, application/javascript or application/json, not "text/xml"',
  ],
])

testAccepted([
  [
    'a fixed response of 200, with all a body may be',
    withFixedResponse(`{ statusCode: 200, messageBody: ${repeat('a', 1024)} }`),
  ],
  ['a fixed response of "503"', withFixedResponse('{ statusCode: "503", contentType: application/json }')],
])

testRefused([
  ['a group name', 'targetGroups: [{ name: «a.b, protocol: HTTP, port: 1 }]', groupName('"a.b"')],
  ['a group without a port', 'targetGroups: [«{ name: a, protocol: HTTP }]', /port is missing: .*/],
  ...['instance', 'lambda'].map(
    (type): Case => [`${type} targets`, withGroup(`targetType: «${type}`), `targetType ${type} is not supported yet`],
  ),
  [
    'another protocol version',
    withGroup('protocolVersion: «HTTP3'),
    'protocolVersion must be HTTP1, HTTP2 or GRPC, not "HTTP3"',
  ],
  [
    'another protocol of a group',
    'targetGroups: [{ name: a, protocol: «TLS, port: 1 }]',
    'protocol must be HTTP or HTTPS, not "TLS"',
  ],
  ['a VPC', withGroup('«vpcId: vpc-1'), 'vpcId is not supported yet'],
  [
    'a health check path without a slash',
    withGroup('healthCheck: { path: «health }'),
    'path must start with "/", not "health"',
  ],
  [
    'a health check path that would add a header',
    withGroup('healthCheck: { path: «"/a\\r\\nb" }'),
    'path must not hold "\\r": allowed are visible ASCII characters',
  ],
  [
    'a health check path of 1025',
    withGroup(`healthCheck: { path: «/${repeat('a', 1024)} }`),
    'path must be at most 1024 characters, not 1025',
  ],
  [
    'a health check port out of range',
    withGroup('healthCheck: { port: «0 }'),
    'port must be a whole number from 1 to 65535, not 0',
  ],
  [
    'a health check port of no meaning',
    withGroup('healthCheck: { port: «traffic }'),
    'port must be a port from 1 to 65535, or traffic-port, not "traffic"',
  ],
  [
    'thresholds out of range',
    withGroup('healthCheck: { healthyThresholdCount: «1, unhealthyThresholdCount: «11 }'),
    'healthyThresholdCount must be a whole number from 2 to 10, not 1',
    'unhealthyThresholdCount must be a whole number from 2 to 10, not 11',
  ],
  ...['"200-600"', '"199"', '500', '"299-200"', '"200, 202"', '"2xx"', '""'].map(
    (code): Case => [
      `a matcher of ${code}`,
      withGroup(`healthCheck: { matcher: { httpCode: «${code} } }`),
      `httpCode must be statuses from 200 to 499, such as "200", "200,302" or "200-299", not ${code}`,
    ],
  ),
  [
    'a gRPC code out of range',
    withGroup('healthCheck: { matcher: { grpcCode: «100 } }'),
    'grpcCode must be gRPC codes from 0 to 99, such as "12", "0,12" or "0-99", not 100',
  ],
  [
    'a gRPC code for a group that speaks HTTP',
    withGroup('healthCheck: { matcher: { grpcCode: «"0" } }'),
    'grpcCode is not for groups of protocolVersion HTTP1, whose answers are matched by httpCode',
  ],
  [
    'a health check that is turned off',
    withGroup('healthCheck: { enabled: «false }'),
    'enabled must be true: only Lambda target groups can do without health checks, not false',
  ],
  [
    'a target by name',
    withGroup('targets: [{ id: «localhost }]'),
    'id must be an IPv4 or IPv6 address, not "localhost"',
  ],
])

testRefused([
  [
    'a quota the service does not adjust',
    'loadBalancers: []\nquotas: { «targetGroupsPerLoadBalancer: 200, «wildcardsPerRule: 9 }',
    'targetGroupsPerLoadBalancer is fixed by the service and cannot be adjusted: 100',
    'wildcardsPerRule is fixed by the service and cannot be adjusted: 6',
  ],
  [
    'a quota of nothing',
    'loadBalancers: []\nquotas: { rulesPerLoadBalancer: «0 }',
    'rulesPerLoadBalancer must be a whole number from 1 to 50000, not 0',
  ],
  [
    'a knob out of range',
    'loadBalancers: []\nlab: { healthCheckIntervalSecondsMin: «0 }',
    'healthCheckIntervalSecondsMin must be seconds from 0.01 to 5, not 0',
  ],
  [
    'a knob of no meaning',
    'lab: { «clockSpeed: 2 }',
    /unknown key "clockSpeed"; allowed: healthCheckIntervalSecondsMin, timeScale/,
  ],
  [
    'a clock that stands still',
    'loadBalancers: []\nlab: { timeScale: «0 }',
    'timeScale must be a number from 1 to 100, not 0',
  ],
])

test('the published JSON Schema is the one made from the code', () => {
  const published = readFileSync(new URL('../../../schema/openalb.schema.json', import.meta.url), 'utf8')
  assert.deepEqual(JSON.parse(published), JSON.parse(JSON.stringify(configJsonSchema())))
})
