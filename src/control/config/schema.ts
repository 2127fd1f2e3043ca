/**
 * The shape of a config file, and every rule that looks at one value alone. Rules that compare values are in
 * `checks.ts`. The editors' JSON Schema is made from this, so what it can express is written in its terms.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_Operations.html
 */

import { isIPv4, isIPv6 } from 'node:net'
import { z } from 'zod'
import { targetSlotsMax } from '../../model/limits.ts'
import { allZones, mutualAuthenticationModes, protocolVersions } from '../../model/resources.ts'
import { Actions } from './action.ts'
import { ListenerAttributes, LoadBalancerAttributes, TargetGroupAttributes } from './attributes.ts'
import { Condition } from './condition.ts'
import { HealthCheck, labSecondsMin } from './health-check.ts'
import { SslPolicy } from './ssl-policy.ts'
import { Transform } from './transform.ts'
import { address, addressWording, listOf, port, wholeNumber } from './values.ts'
import { choice, must, notYet, shape } from './wording.ts'

export const priorityMax = 50_000
/** Letters, digits, and hyphens but not first or last. */
const namePattern = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?'
const nameWording = '1 to 32 letters, digits and hyphens, with no hyphen first or last'

// --- Load balancers ---

const Rule = shape(
  {
    priority: wholeNumber(1, priorityMax).meta({ description: 'The lowest that matches wins.' }),
    conditions: listOf(Condition, 'conditions').min(1, 'must hold at least one condition'),
    actions: Actions,
    transforms: listOf(Transform, 'transforms').default([]),
  },
  notYet('tags'),
)

const pem = z.string(must('the path of a PEM file, or PEM text')).min(1, 'must not be empty')
const Certificate = shape(
  {
    certificate: pem.meta({ description: 'A PEM file, relative to this one, or PEM text.' }),
    privateKey: pem.meta({ description: 'Its key, not encrypted: a PEM file or PEM text.' }),
    certificateChain: pem.optional().meta({ description: 'Those that issued it, each after the one it issued.' }),
  },
  new Map([['isDefault', 'follows from the order: the first certificate is the default'], ...notYet('certificateArn')]),
)

const MutualAuthentication = shape(
  {
    mode: choice(mutualAuthenticationModes).meta({
      description: 'passthrough shows targets what clients send, verify checks it before.',
    }),
    trustStore: z.string(must('the name of a trust store')).optional(),
    ignoreClientCertificateExpiry: z.boolean(must('true or false')).optional(),
    advertiseTrustStoreCaNames: choice(['on', 'off']).optional(),
  },
  new Map([
    ['trustStoreArn', 'is not needed: trustStore names one of trustStores'],
    ['trustStoreAssociationStatus', 'cannot be set'],
  ]),
)

const Listener = shape(
  {
    protocol: choice(['HTTP', 'HTTPS']),
    port,
    sslPolicy: SslPolicy,
    certificates: listOf(Certificate, 'certificates')
      .min(1, 'must hold at least one certificate')
      .optional()
      .meta({ description: 'The first is the default; the others are chosen by the name that a client asks for.' }),
    mutualAuthentication: MutualAuthentication.optional(),
    attributes: ListenerAttributes.prefault({}),
    defaultActions: Actions,
    rules: listOf(Rule, 'rules').default([]),
  },
  notYet('tags'),
)

const zonePattern = '[A-Za-z0-9][A-Za-z0-9-]{0,63}'
const zoneNameWording = must('the name of a zone, such as us-east-1a')
const zoneName = z.string(zoneNameWording).regex(new RegExp(`^(?!${allZones}$)${zonePattern}$`), zoneNameWording)

const ipv4Wording = must('an IPv4 address')
const ipv6Wording = must('an IPv6 address')
const LoadBalancerAddress = shape(
  {
    ipAddress: z.string(ipv4Wording).refine(isIPv4, ipv4Wording).optional(),
    iPv6Address: address.refine(isIPv6, ipv6Wording).optional(),
  },
  notYet('allocationId', 'privateIPv4Address'),
)

const AvailabilityZone = shape(
  {
    zoneName,
    loadBalancerAddresses: listOf(LoadBalancerAddress, 'addresses')
      .min(1, 'must hold at least one address')
      .optional()
      .meta({ description: 'Addresses of this machine. On Linux there are loopback ones of their own by default.' }),
  },
  notYet('subnetId', 'outpostId', 'sourceNatIpv6Prefixes'),
)

const loadBalancerNameWording = must(`${nameWording}, and not start with internal-`)
const LoadBalancer = shape(
  {
    name: z.string(loadBalancerNameWording).regex(new RegExp(`^(?!internal-)${namePattern}$`), loadBalancerNameWording),
    bind: z
      .union([address, listOf(address, 'addresses').min(1, 'must hold at least one address')], addressWording)
      .optional()
      .meta({ description: 'Addresses of this machine that the listeners bind, by default 0.0.0.0: all in one zone.' }),
    availabilityZones: listOf(AvailabilityZone, 'zones')
      .min(1, 'must hold at least one zone')
      .optional()
      .meta({ description: 'The zones that have a node of the load balancer, each with addresses of its own.' }),
    attributes: LoadBalancerAttributes.prefault({}),
    listeners: listOf(Listener, 'listeners').default([]),
  },
  new Map([
    ...notYet('scheme', 'type', 'ipAddressType', 'subnets', 'subnetMappings', 'securityGroups', 'tags'),
    ['dnsName', 'follows from the name and cannot be set'],
  ]),
)

// --- Target groups ---

const targetZoneWording = must(`the name of a zone, such as us-east-1a, or ${allZones}`)
const Target = shape({
  // Any address will do, loopback and public ones too, where the service wants one of the VPC or a private range.
  id: address.meta({ description: 'IPv4 or IPv6 address' }),
  port: port.optional().meta({ description: "The target group's port unless given." }),
  availabilityZone: z
    .string(targetZoneWording)
    .regex(new RegExp(`^${zonePattern}$`), targetZoneWording)
    .optional()
    .meta({ description: 'The only zone of the load balancer, or all of several, unless given.' }),
})

const TargetGroup = shape(
  {
    name: z.string(must(nameWording)).regex(new RegExp(`^${namePattern}$`), must(nameWording)),
    targetType: choice(['ip'], ['instance', 'lambda', 'alb']).default('ip'),
    protocol: choice(['HTTP', 'HTTPS']),
    protocolVersion: choice(protocolVersions).default('HTTP1'),
    port,
    healthCheck: HealthCheck.prefault({}),
    attributes: TargetGroupAttributes.prefault({}),
    targets: listOf(Target, 'targets').default([]),
  },
  notYet('ipAddressType', 'targetControlPort', 'tags', 'vpcId'),
)

// --- Trust stores ---

const RevocationList = shape({
  revocationContent: pem.meta({ description: 'One revocation list: a PEM file, relative to this one, or PEM text.' }),
  revocationType: choice(['CRL']).default('CRL'),
})

const trustStoreNameWording = must(`${nameWording}, and no two in a row`)
const insteadOfS3 = 'is not needed: caCertificatesBundle is the path of a PEM file, or PEM text'
const TrustStore = shape(
  {
    name: z.string(trustStoreNameWording).regex(new RegExp(`^(?!.*--)${namePattern}$`), trustStoreNameWording),
    caCertificatesBundle: pem.meta({
      description: 'Who vouches for clients: their certificates in a PEM file, relative to this one, or as PEM text.',
    }),
    revocationLists: listOf(RevocationList, 'revocation lists').default([]),
  },
  new Map([
    ...['caCertificatesBundleS3Bucket', 'caCertificatesBundleS3Key', 'caCertificatesBundleS3ObjectVersion'].map(
      (key): [string, string] => [key, insteadOfS3],
    ),
    ['revocationContents', 'is revocationLists here, each with its revocationContent'],
    ...notYet('tags'),
  ]),
)

// --- Zonal shifts ---

const resourceWording = must('the name of a load balancer')
const ZonalShift = shape(
  {
    resourceIdentifier: z.string(resourceWording).meta({ description: 'The name of a load balancer.' }),
    awayFrom: zoneName.meta({ description: 'The name of one of its zones.' }),
  },
  new Map([
    ['expiresIn', 'has no beginning in a file: a shift lasts for as long as it is there'],
    ['comment', 'is what comments of the file are for'],
  ]),
)

// --- The file ---

const fixedByService = 'is fixed by the service and cannot be adjusted'

/** The service's defaults. The upper bounds below are ours, and generous. */
export const quotaDefaults = {
  rulesPerLoadBalancer: 100,
  listenersPerLoadBalancer: 50,
  targetsPerLoadBalancer: 1000,
  targetsPerTargetGroup: 1000,
  /** Default certificates do not count. */
  certificatesPerLoadBalancer: 25,
  trustStores: 20,
  caCertificatesPerTrustStore: 25,
  /** Of all its subjects together, in bytes. */
  caCertificateSubjectSizePerTrustStore: 10_000,
  revocationListsPerTrustStore: 30,
  /** Of all its lists together. */
  revocationEntriesPerTrustStore: 500_000,
}
export const targetGroupsPerLoadBalancerMax = 100
/** Listeners whose mutual authentication verifies. */
export const verifyListenersPerLoadBalancerMax = 2
export const caCertificateBytesMax = 16 * 1024
export const revocationListBytesMax = 50 * 1024 * 1024

const Quotas = shape(
  {
    rulesPerLoadBalancer: wholeNumber(1, priorityMax).default(quotaDefaults.rulesPerLoadBalancer),
    listenersPerLoadBalancer: wholeNumber(1, 1000).default(quotaDefaults.listenersPerLoadBalancer),
    targetsPerLoadBalancer: wholeNumber(1, targetSlotsMax).default(quotaDefaults.targetsPerLoadBalancer),
    targetsPerTargetGroup: wholeNumber(1, targetSlotsMax).default(quotaDefaults.targetsPerTargetGroup),
    certificatesPerLoadBalancer: wholeNumber(1, 1000).default(quotaDefaults.certificatesPerLoadBalancer),
    trustStores: wholeNumber(1, 1000).default(quotaDefaults.trustStores),
    caCertificatesPerTrustStore: wholeNumber(1, 1000).default(quotaDefaults.caCertificatesPerTrustStore),
    // Clients may be told all of them in one message, which has 64 KB.
    caCertificateSubjectSizePerTrustStore: wholeNumber(1, 60_000).default(
      quotaDefaults.caCertificateSubjectSizePerTrustStore,
    ),
    revocationListsPerTrustStore: wholeNumber(1, 1000).default(quotaDefaults.revocationListsPerTrustStore),
    revocationEntriesPerTrustStore: wholeNumber(1, 5_000_000).default(quotaDefaults.revocationEntriesPerTrustStore),
  },
  new Map([
    ['targetGroupsPerLoadBalancer', `${fixedByService}: ${targetGroupsPerLoadBalancerMax}`],
    ['targetGroupsPerAction', `${fixedByService}: 5`],
    ['loadBalancersPerTargetGroup', `${fixedByService}: 1`],
    ['conditionValuesPerRule', `${fixedByService}: 5`],
    ['wildcardsPerRule', `${fixedByService}: 6`],
    ['verifyListenersPerLoadBalancer', `${fixedByService}: ${verifyListenersPerLoadBalancerMax}`],
    ['caCertificateSize', `${fixedByService}: ${caCertificateBytesMax} bytes`],
    ['revocationListFileSize', `${fixedByService}: ${revocationListBytesMax} bytes`],
    ...notYet('loadBalancers', 'targetGroups'),
  ]),
)

const labWording = must(`seconds from ${labSecondsMin} to 5`)
/** Ours: beyond, timers of a few dozen milliseconds would be shorter than what the system can keep. */
const timeScaleMax = 100
const timeScaleWording = must(`a number from 1 to ${timeScaleMax}`)
const Lab = shape({
  healthCheckIntervalSecondsMin: z
    .number(labWording)
    .min(labSecondsMin, labWording)
    .max(5, labWording)
    .optional()
    .meta({ description: 'Health check intervals may go down to this, and timeouts below theirs; fractions too.' }),
  timeScale: z
    .number(timeScaleWording)
    .min(1, timeScaleWording)
    .max(timeScaleMax, timeScaleWording)
    .optional()
    .meta({ description: 'How many times as fast time passes, for drills; fixed when the process starts.' }),
}).meta({ description: 'For tests only: what the real service would refuse.' })

export const ConfigFile = shape({
  /** For editors that find the JSON Schema of a JSON file this way. */
  $schema: z.string(must('the address of a JSON Schema')).optional(),
  loadBalancers: listOf(LoadBalancer, 'load balancers').default([]),
  targetGroups: listOf(TargetGroup, 'target groups').default([]),
  trustStores: listOf(TrustStore, 'trust stores').default([]),
  zonalShifts: listOf(ZonalShift, 'zonal shifts')
    .default([])
    .meta({ description: 'Move traffic away from a zone, of load balancers with zonal_shift.config.enabled.' }),
  quotas: Quotas.prefault({}),
  lab: Lab.prefault({}),
})

/** What a file may say. */
export type ConfigInput = z.input<typeof ConfigFile>
/** The same with every default filled in. */
export type ConfigOutput = z.output<typeof ConfigFile>
export type LoadBalancerOutput = ConfigOutput['loadBalancers'][number]
export type ListenerOutput = LoadBalancerOutput['listeners'][number]
export type CertificateOutput = NonNullable<ListenerOutput['certificates']>[number]
export type RuleOutput = ListenerOutput['rules'][number]
export type ConditionOutput = RuleOutput['conditions'][number]
export type TransformOutput = RuleOutput['transforms'][number]
export type ActionOutput = ListenerOutput['defaultActions'][number]
export type ForwardOutput = Extract<ActionOutput, { type: 'forward' }>
export type MutualAuthenticationOutput = NonNullable<ListenerOutput['mutualAuthentication']>
export type TargetGroupOutput = ConfigOutput['targetGroups'][number]
