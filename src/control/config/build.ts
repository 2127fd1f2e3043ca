/** From checked values to resources. Nothing can fail here any more. */

import { createHash } from 'node:crypto'
import { assertNever } from '../../base/assert.ts'
import {
  listenerArn,
  loadBalancerArn,
  localRegion,
  ruleArn,
  type TargetGroupArn,
  targetGroupArn,
} from '../../model/arns.ts'
import {
  type HealthCheck,
  type Listener,
  type LoadBalancer,
  type LoadBalancerAttributes,
  noTransforms,
  type Resources,
  type RoutingAction,
  type Rule,
  type StatusRange,
  type TargetGroup,
} from '../../model/resources.ts'
import { canonicalAddress, offsetPort } from './address.ts'
import {
  type ActionOutput,
  type ConfigOutput,
  type ListenerOutput,
  type LoadBalancerOutput,
  parseStatusRanges,
  type RuleOutput,
  type TargetGroupOutput,
} from './schema.ts'

export function buildResources(files: readonly ConfigOutput[], portOffset: number): Resources {
  return {
    loadBalancers: files.flatMap(file => file.loadBalancers.map(each => buildLoadBalancer(each, portOffset))),
    targetGroups: files.flatMap(file => file.targetGroups.map(buildTargetGroup)),
  }
}

/**
 * 16 hex digits that follow from what a resource is called, so that ARNs, and with them logs and metrics, stay the
 * same over reloads and restarts.
 */
function idOf(...names: readonly (string | number)[]): string {
  return createHash('sha256').update(names.join('/')).digest('hex').slice(0, 16)
}

function buildLoadBalancer(from: LoadBalancerOutput, portOffset: number): LoadBalancer {
  const { name } = from
  const id = idOf('loadbalancer', name)
  // The service's DNS names carry up to ten decimal digits.
  const digits = BigInt(`0x${id}`) % 10_000_000_000n
  return {
    arn: loadBalancerArn(name, id),
    name,
    id,
    dnsName: `${name}-${digits}.${localRegion}.elb.localhost`,
    bind: [from.bind].flat().map(canonicalAddress),
    attributes: buildAttributes(from.attributes),
    listeners: from.listeners.map(each => buildListener(each, name, id, portOffset)),
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
    desyncMitigationMode: 'defensive',
  }
}

function buildListener(from: ListenerOutput, name: string, loadBalancerId: string, portOffset: number): Listener {
  const { protocol, port } = from
  const id = idOf('listener', name, port)
  const buildRule = ({ priority, conditions, actions }: RuleOutput): Rule => ({
    arn: ruleArn(name, loadBalancerId, id, idOf('listener-rule', name, port, priority)),
    priority,
    conditions: conditions.map(({ field, values }) => ({ field, values, regexValues: [] })),
    action: buildAction(actions[0]!),
    transforms: noTransforms,
  })
  return {
    arn: listenerArn(name, loadBalancerId, id),
    protocol,
    port,
    bindPort: offsetPort(port, portOffset),
    attributes: { serverHeader: true, responseHeaders: [] },
    defaultAction: buildAction(from.defaultActions[0]!),
    rules: from.rules.map(buildRule).sort((one, other) => one.priority - other.priority),
  }
}

function buildAction(from: ActionOutput): RoutingAction {
  switch (from.type) {
    case 'forward':
      return {
        type: 'forward',
        targetGroups: [{ arn: groupArn(from.targetGroup), weight: 1 }],
        stickinessSeconds: null,
      }
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

function groupArn(name: string): TargetGroupArn {
  return targetGroupArn(name, idOf('targetgroup', name))
}

function buildTargetGroup(from: TargetGroupOutput): TargetGroup {
  const { name, targetType, protocol, port } = from
  return {
    arn: groupArn(name),
    name,
    targetType,
    protocol,
    port,
    healthCheck: buildHealthCheck(from.healthCheck),
    attributes: {
      deregistrationDelaySeconds: Number(from.attributes['deregistration_delay.timeout_seconds']),
      algorithm: 'round_robin',
      anomalyMitigation: false,
      slowStartSeconds: 0,
      stickiness: null,
    },
    targets: from.targets.map(target => ({ ip: canonicalAddress(target.id), port: target.port ?? port })),
  }
}

function buildHealthCheck(from: TargetGroupOutput['healthCheck']): HealthCheck {
  const { matcher, ...rest } = from
  return { ...rest, matcher: parseStatusRanges(String(matcher.httpCode)) as readonly StatusRange[] }
}
