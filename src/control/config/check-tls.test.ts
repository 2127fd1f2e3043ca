import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeCertificate } from '../../../test/support/certificates.ts'
import { formatProblem, parseConfig } from '../config.ts'
import {
  assertProblems,
  assertValid,
  type Case,
  testRefused,
  withHttps,
  withLoadBalancer,
} from './marked.test-support.ts'

const fixed = '{ type: fixed-response, fixedResponse: { statusCode: 200 } }'

/** The members of a certificate in the list of a listener. */
function certificateFor(name: string): string {
  const { certificate, privateKey } = makeCertificate({ names: [name], keyType: 'p256' })
  return `{ certificate: ${JSON.stringify(certificate)}, privateKey: ${JSON.stringify(privateKey)} }`
}

const certificates = `certificates: [${certificateFor('a.example.com')}]`

const requestHeader = (header: string) => `routing.http.request.${header}.header_name`
const leafKey = requestHeader('x_amzn_mtls_clientcert_leaf')
const chainKey = requestHeader('x_amzn_mtls_clientcert')
const subjectKey = requestHeader('x_amzn_mtls_clientcert_subject')

testRefused([
  [
    'an HTTPS listener without a certificate',
    withLoadBalancer(`listeners: [«{ protocol: HTTPS, port: 443, defaultActions: [${fixed}] }]`),
    'certificates is missing: an HTTPS listener needs at least one certificate. For development, --https makes one',
  ],
  ['an empty list', withHttps('certificates: «[]'), 'certificates must hold at least one certificate'],
  [
    'certificates that are none',
    withHttps('«certificates:'),
    'certificates is empty: it must be a list of certificates',
  ],
  [
    'what belongs to HTTPS on a listener of HTTP',
    withLoadBalancer(`listeners:
      - protocol: HTTP
        port: 80
        defaultActions: [${fixed}]
        sslPolicy: «ELBSecurityPolicy-2016-08
        certificates: «[{ certificate: none.pem, privateKey: none.pem }]`),
    'sslPolicy is for HTTPS listeners, and this one is HTTP',
    'certificates is for HTTPS listeners, and this one is HTTP',
  ],
  [
    'a default certificate that is marked as such',
    withHttps(certificates.replace('{ ', '{ «isDefault: true, ')),
    'isDefault follows from the order: the first certificate is the default',
  ],
  ...[
    ['ELBSecurityPolicy-TLS13-1-2-2021-6', 'did you mean "ELBSecurityPolicy-TLS13-1-2-2021-06"?'],
    ['TLS13-1-2-Res-PQ-2025-09', 'did you mean "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"?'],
    ['elbsecuritypolicy-2016-08', 'did you mean "ELBSecurityPolicy-2016-08"?'],
    ['ELBSecurtyPolicy-FS-2018-06', 'did you mean "ELBSecurityPolicy-FS-2018-06"?'],
    ['modern', 'such as ELBSecurityPolicy-2016-08'],
  ].map(
    ([name, hint]): Case => [
      `the security policy ${name}`,
      withHttps(`sslPolicy: «${name}\n        ${certificates}`),
      `sslPolicy must be a security policy of the service, not "${name}"; ${hint}`,
    ],
  ),
  [
    'a security policy that is no text',
    withHttps(`sslPolicy: «7\n        ${certificates}`),
    'sslPolicy must be the name of a security policy such as ELBSecurityPolicy-2016-08, not 7',
  ],
  ...[
    ['X A', 'must not hold " ": allowed are letters, digits and ! # $ % & \' * + - . ^ _ ` | ~'],
    ['a'.repeat(129), 'must be at most 128 characters, not 129'],
    ['Content-Length', 'must not be "Content-Length", which means something else to targets'],
    ['x-forwarded-for', 'must not be "x-forwarded-for", which means something else to targets'],
    ['Content_Length', 'must not be "Content_Length", which means something else to targets'],
  ].map(
    ([name, problem]): Case => [
      `the header name ${name}`,
      withHttps(`attributes: { ${leafKey}: «"${name}" }\n        ${certificates}`),
      `${leafKey} ${problem}`,
    ],
  ),
  [
    'two headers of one name',
    withHttps(`attributes: { ${leafKey}: X-A, ${chainKey}: «x-a }\n        ${certificates}`),
    `${chainKey} must be a name of its own: "x-a" is also that of ${leafKey}`,
  ],
  [
    'a header by the usual name of another',
    withHttps(`attributes: { ${leafKey}: «X-Amzn-Mtls-Clientcert-Subject }\n        ${certificates}`),
    `${leafKey} must be a name of its own: "x-amzn-mtls-clientcert-subject" is also that of ${subjectKey}`,
  ],
])

const redirectOnHttps = (redirect: string) => withHttps(certificates, `{ type: redirect, redirect: ${redirect} }`)

test('a redirect from HTTPS to HTTP is refused', () => {
  assertProblems(redirectOnHttps('{ protocol: «HTTP, host: a.b, statusCode: HTTP_301 }'), [
    'protocol must not be HTTP on an HTTPS listener: from there, redirects go to HTTPS only',
  ])
})

for (const redirect of [
  '{ statusCode: HTTP_301 }',
  '{ protocol: HTTPS, statusCode: HTTP_301 }',
  '{ protocol: "#{protocol}", port: 443, statusCode: HTTP_301 }',
]) {
  test(`the redirect ${redirect} is a loop on an HTTPS listener on 443`, () => {
    assertProblems(redirectOnHttps(`«${redirect}`), [
      'redirect creates a loop: at least one of protocol, host, port and path must change',
    ])
  })
}

test('a redirect from HTTPS to another host or port is fine', () => {
  assertValid(redirectOnHttps('{ protocol: HTTPS, host: a.b, statusCode: HTTP_301 }'))
  assertValid(redirectOnHttps('{ port: 8443, statusCode: HTTP_301 }'))
})

function warningsOf(text: string): string[] {
  const result = parseConfig([{ name: 'openalb.yaml', text }])
  assert.ok(result.ok, result.ok ? '' : result.problems.map(formatProblem).join('\n'))
  return result.config.warnings.map(formatProblem)
}

test('a certificate twice in the list is told, the default one again in the list is not', () => {
  const [a, b] = [certificateFor('a.example.com'), certificateFor('b.example.com')]
  const list = (...items: readonly string[]) => withHttps(`certificates:\n          - ${items.join('\n          - ')}`)
  assert.deepEqual(warningsOf(list(a, b, a)), [])
  assert.deepEqual(warningsOf(list(a, b, b)), [
    'openalb.yaml:10:13: certificates[2] has no effect: it is the same certificate as at openalb.yaml:9:13',
  ])
})

test('default certificates do not count against the quota, all others do', () => {
  const list = (count: number) => `certificates: [${Array(count).fill(certificateFor('a.example.com')).join(', ')}]`
  const listener = (port: number, count: number) =>
    `{ protocol: HTTPS, port: ${port}, defaultActions: [${fixed}], ${list(count)} }`
  const two = (counts: readonly [number, number], quotas = '') => `loadBalancers:
  - «name: web
    listeners: [${listener(443, counts[0])}, ${listener(8443, counts[1])}]
${quotas}`
  assertValid(two([26, 1]).replace('«', ''))
  assertProblems(two([14, 14]), [
    'loadBalancers[0] has 26 certificates beside the default ones, more than the quota of 25 (quotas.certificatesPerLoadBalancer raises it)',
  ])
  assertValid(two([14, 14], 'quotas: { certificatesPerLoadBalancer: 26 }').replace('«', ''))
})

const httpsGroup = (members: string) => `loadBalancers:
  - name: web
    listeners: [{ protocol: HTTP, port: 80, defaultActions: [{ type: forward, targetGroup: app }] }]
targetGroups:
  - { name: app, protocol: HTTPS, port: 8443, targets: [{ id: 127.0.0.1 }]${members} }`

test('HTTPS targets that are checked by HTTP on the same port are told', () => {
  const warning =
    'openalb.yaml:5:28: protocol HTTPS is what targets serve on the port that is checked by HTTP, which fails; set healthCheck.protocol to HTTPS, or healthCheck.port to where targets speak HTTP'
  assert.deepEqual(warningsOf(httpsGroup('')), [warning])
  assert.deepEqual(warningsOf(httpsGroup(', healthCheck: { port: traffic-port, protocol: HTTP }')), [warning])
  assert.deepEqual(warningsOf(httpsGroup(', healthCheck: { port: 8443 }')), [warning])
  assert.deepEqual(warningsOf(httpsGroup(', healthCheck: { port: 8080 }')), [])
  assert.deepEqual(warningsOf(httpsGroup(', healthCheck: { protocol: HTTPS }')), [])
})
