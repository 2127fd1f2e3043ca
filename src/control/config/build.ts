/** From checked values to resources. Nothing can fail here any more. */

import { assertNever } from '../../base/assert.ts'
import { canonicalAddress } from '../../base/ip-address.ts'
import {
  dnsDomain,
  listenerArn,
  loadBalancerArn,
  localRegion,
  ruleArn,
  type TargetGroupArn,
  targetGroupArn,
} from '../../model/arns.ts'
import {
  type AvailabilityZone,
  allZones,
  type Certificate,
  type Condition,
  defaultZone,
  type ForwardAction,
  type HealthThreshold,
  type Listener,
  type ListenerAttributes,
  type ListenerTls,
  type LoadBalancer,
  type LoadBalancerAttributes,
  type MutualAuthentication,
  noTransforms,
  type RequestHeaderNames,
  type Resources,
  type RoutingAction,
  type Rule,
  type Stickiness,
  type TargetGroup,
  type TargetGroupAttributes,
  type Transforms,
  type TrustStore,
} from '../../model/resources.ts'
import { defaultSslPolicy } from '../../model/ssl-policies.ts'
import { usersOfGroups } from '../nodes.ts'
import { offsetPort } from './address.ts'
import { requestHeaders, responseHeaders } from './attributes.ts'
import { canonicalCidr } from './cidr.ts'
import { buildHealthCheck } from './health-check.ts'
import { idOf } from './ids.ts'
import { nodeAddress } from './node-address.ts'
import type {
  ActionOutput,
  CertificateOutput,
  ConditionOutput,
  ConfigOutput,
  ForwardOutput,
  ListenerOutput,
  LoadBalancerOutput,
  MutualAuthenticationOutput,
  RuleOutput,
  TargetGroupOutput,
  TransformOutput,
} from './schema.ts'

/** What a file says, and the certificates that it names. */
export type CheckedFile = {
  readonly output: ConfigOutput
  readonly findCertificate: (from: CertificateOutput) => Certificate
  readonly findTrustStore: (name: string) => TrustStore
}

export function buildResources(files: readonly CheckedFile[], portOffset: number): Resources {
  const described = files.flatMap(({ output, ...find }) => output.loadBalancers.map(from => ({ from, find })))
  const zoneNames = described.flatMap(({ from }) => from.availabilityZones?.map(({ zoneName }) => zoneName) ?? [])
  const shifts = files.flatMap(({ output }) => output.zonalShifts)
  const loadBalancers = described.map(({ from, find }, position) => {
    const shift = shifts.find(({ resourceIdentifier }) => resourceIdentifier === from.name)
    const zones = {
      availabilityZones: buildZones(from, zoneNames, position),
      shiftedZone: shift === undefined ? null : shift.awayFrom,
    }
    return buildLoadBalancer(from, zones, { portOffset, ...find })
  })
  const users = usersOfGroups(loadBalancers)
  return {
    loadBalancers,
    targetGroups: files.flatMap(({ output }) =>
      output.targetGroups.map(from => buildTargetGroup(from, zoneByDefault(users.get(groupArn(from.name))))),
    ),
  }
}

/** Where a target is that names no zone: in the only one there is, or in none in particular. */
function zoneByDefault(loadBalancer: LoadBalancer | undefined): string {
  const [zone, another] = loadBalancer?.availabilityZones ?? []
  return zone === undefined || another !== undefined ? allZones : zone.zoneName
}

type ListenerOptions = Omit<CheckedFile, 'output'> & { readonly portOffset: number }

function buildZones(
  { bind = '0.0.0.0', availabilityZones }: LoadBalancerOutput,
  zoneNames: readonly string[],
  position: number,
): AvailabilityZone[] {
  if (availabilityZones === undefined) {
    return [{ zoneName: defaultZone, addresses: [bind].flat().map(canonicalAddress) }]
  }
  return availabilityZones.map(({ zoneName, loadBalancerAddresses }) => ({
    zoneName,
    addresses: loadBalancerAddresses?.flatMap(({ ipAddress, iPv6Address }) =>
      [ipAddress ?? [], iPv6Address ?? []].flat().map(canonicalAddress),
    ) ?? [nodeAddress(zoneNames, zoneName, position)!],
  }))
}

function buildLoadBalancer(
  from: LoadBalancerOutput,
  zones: Pick<LoadBalancer, 'availabilityZones' | 'shiftedZone'>,
  options: ListenerOptions,
): LoadBalancer {
  const { name } = from
  const id = idOf('loadbalancer', name)
  // The service's DNS names carry up to ten decimal digits.
  const digits = BigInt(`0x${id}`) % 10_000_000_000n
  return {
    arn: loadBalancerArn(name, id),
    name,
    id,
    dnsName: `${name}-${digits}.${localRegion}.${dnsDomain}`,
    ...zones,
    attributes: buildAttributes(from.attributes),
    listeners: from.listeners.map(each => buildListener(each, name, id, options)),
  }
}

function buildAttributes(from: LoadBalancerOutput['attributes']): LoadBalancerAttributes {
  return {
    idleTimeoutSeconds: Number(from['idle_timeout.timeout_seconds']),
    clientKeepAliveSeconds: Number(from['client_keep_alive.seconds']),
    preserveHostHeader: from['routing.http.preserve_host_header.enabled'] === 'true',
    xffHeaderProcessingMode: from['routing.http.xff_header_processing.mode'],
    xffClientPort: from['routing.http.xff_client_port.enabled'] === 'true',
    dropInvalidHeaderFields: from['routing.http.drop_invalid_header_fields.enabled'] === 'true',
    tlsHeaders: from['routing.http.x_amzn_tls_version_and_cipher_suite.enabled'] === 'true',
    desyncMitigationMode: from['routing.http.desync_mitigation_mode'],
    http2: from['routing.http2.enabled'] === 'true',
  }
}

function buildListener(from: ListenerOutput, name: string, loadBalancerId: string, options: ListenerOptions): Listener {
  const { protocol, port } = from
  const id = idOf('listener', name, port)
  const buildRule = ({ priority, conditions, actions, transforms }: RuleOutput): Rule => ({
    arn: ruleArn(name, loadBalancerId, id, idOf('listener-rule', name, port, priority)),
    priority,
    conditions: conditions.map(buildCondition),
    action: buildAction(actions[0]!),
    transforms: transforms.reduce(addTransform, noTransforms),
  })
  return {
    arn: listenerArn(name, loadBalancerId, id),
    protocol,
    tls: protocol === 'HTTPS' ? buildTls(from, options) : null,
    port,
    bindPort: offsetPort(port, options.portOffset),
    attributes: buildListenerAttributes(from.attributes),
    defaultAction: buildAction(from.defaultActions[0]!),
    rules: from.rules.map(buildRule).sort((one, other) => one.priority - other.priority),
  }
}

function buildTls(
  { sslPolicy = defaultSslPolicy, certificates = [], mutualAuthentication = { mode: 'off' } }: ListenerOutput,
  { findCertificate, findTrustStore }: ListenerOptions,
): ListenerTls {
  return {
    sslPolicy,
    certificates: certificates.map(findCertificate),
    mutualAuthentication: buildMutualAuthentication(mutualAuthentication, findTrustStore),
  }
}

function buildMutualAuthentication(
  { mode, trustStore, ignoreClientCertificateExpiry, advertiseTrustStoreCaNames }: MutualAuthenticationOutput,
  findTrustStore: ListenerOptions['findTrustStore'],
): MutualAuthentication {
  if (mode !== 'verify') return { mode }
  return {
    mode,
    trustStore: findTrustStore(trustStore!),
    ignoreClientCertificateExpiry: ignoreClientCertificateExpiry === true,
    advertiseTrustStoreCaNames: advertiseTrustStoreCaNames === 'on',
  }
}

function buildListenerAttributes(from: ListenerOutput['attributes']): ListenerAttributes {
  const values = responseHeaders.map(header => ({
    name: headerName(header),
    value: from[`routing.http.response.${header}.header_value`],
  }))
  return {
    serverHeader: from['routing.http.response.server.enabled'] === 'true',
    responseHeaders: values.filter(({ value }) => value !== ''),
    requestHeaderNames: buildRequestHeaderNames(from),
  }
}

function buildRequestHeaderNames(from: ListenerOutput['attributes']): RequestHeaderNames {
  const names = Object.entries(requestHeaders).map(([member, header]) => [
    member,
    from[`routing.http.request.${header}.header_name`],
  ])
  return Object.fromEntries(names) as RequestHeaderNames
}

/** `x_frame_options` as `X-Frame-Options`: all that the service knows are written so. */
function headerName(header: string): string {
  const words = header.split('_').map(word => word.charAt(0).toUpperCase() + word.slice(1))
  return words.join('-')
}

function buildCondition(from: ConditionOutput): Condition {
  switch (from.field) {
    case 'path-pattern':
    case 'host-header':
    case 'http-header': {
      const { values = [], regexValues = [], ...rest } = from
      return { ...rest, values, regexValues }
    }
    case 'http-request-method':
      return from
    case 'query-string':
      return { field: from.field, values: from.values.map(({ key = null, value }) => ({ key, value })) }
    case 'source-ip':
      return { field: from.field, values: from.values.map(canonicalCidr) }
    default:
      return assertNever(from)
  }
}

function addTransform(transforms: Transforms, from: TransformOutput): Transforms {
  switch (from.type) {
    case 'host-header-rewrite':
      return { ...transforms, hostHeaderRewrite: from.hostHeaderRewrite.rewrites[0]! }
    case 'url-rewrite':
      return { ...transforms, urlRewrite: from.urlRewrite.rewrites[0]! }
    default:
      return assertNever(from)
  }
}

function buildAction(from: ActionOutput): RoutingAction {
  switch (from.type) {
    case 'forward':
      return buildForward(from)
    case 'redirect': {
      const { protocol, host, port, path, query, statusCode } = from.redirect
      const status = statusCode === 'HTTP_301' ? 301 : 302
      return { type: 'redirect', protocol, host, port: String(port), path, query, statusCode: status }
    }
    case 'fixed-response': {
      const { statusCode, messageBody, contentType } = from.fixedResponse
      return { type: 'fixed-response', statusCode: Number(statusCode), messageBody, contentType }
    }
    default:
      return assertNever(from)
  }
}

function buildForward({ targetGroup, forward }: ForwardOutput): ForwardAction {
  // One of the two is there, and where both are they say the same.
  const groups = forward?.targetGroups ?? [{ targetGroup: targetGroup! }]
  const stickiness = forward?.targetGroupStickiness
  return {
    type: 'forward',
    targetGroups: groups.map(({ targetGroup, weight = 1 }) => ({ arn: groupArn(targetGroup), weight })),
    stickinessSeconds: stickiness?.enabled ? stickiness.durationSeconds! : null,
  }
}

function groupArn(name: string): TargetGroupArn {
  return targetGroupArn(name, idOf('targetgroup', name))
}

function buildTargetGroup(from: TargetGroupOutput, zone: string): TargetGroup {
  const { name, targetType, protocol, protocolVersion, port } = from
  return {
    arn: groupArn(name),
    name,
    targetType,
    protocol,
    protocolVersion,
    port,
    healthCheck: buildHealthCheck(from.healthCheck, protocolVersion),
    attributes: buildGroupAttributes(from.attributes),
    targets: from.targets.map(target => ({
      ip: canonicalAddress(target.id),
      port: target.port ?? port,
      availabilityZone: target.availabilityZone ?? zone,
    })),
  }
}

function buildGroupAttributes(from: TargetGroupOutput['attributes']): TargetGroupAttributes {
  return {
    deregistrationDelaySeconds: Number(from['deregistration_delay.timeout_seconds']),
    algorithm: from['load_balancing.algorithm.type'],
    anomalyMitigation: from['load_balancing.algorithm.anomaly_mitigation'] === 'on',
    slowStartSeconds: Number(from['slow_start.duration_seconds']),
    stickiness: from['stickiness.enabled'] === 'true' ? buildStickiness(from) : null,
    crossZone: from['load_balancing.cross_zone.enabled'] !== 'false',
    routingThreshold: buildThreshold(from, 'unhealthy_state_routing'),
    dnsThreshold: buildThreshold(from, 'dns_failover'),
  }
}

function buildThreshold(
  from: TargetGroupOutput['attributes'],
  of: 'unhealthy_state_routing' | 'dns_failover',
): HealthThreshold {
  const read = (unit: 'count' | 'percentage') => {
    const value = from[`target_group_health.${of}.minimum_healthy_targets.${unit}`]
    return value === 'off' ? null : Number(value)
  }
  return { count: read('count'), percentage: read('percentage') }
}

function buildStickiness(from: TargetGroupOutput['attributes']): Stickiness {
  const type = from['stickiness.type']
  const durationSeconds = Number(from[`stickiness.${type}.duration_seconds`])
  if (type === 'lb_cookie') return { type, durationSeconds }
  return { type, cookieName: from['stickiness.app_cookie.cookie_name'], durationSeconds }
}
