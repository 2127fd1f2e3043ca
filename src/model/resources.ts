/**
 * The nouns of an Application Load Balancer as validated values. Config files, the API and imports all end here;
 * whoever receives one of these may trust every bound that the comments state.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/Welcome.html
 */

import {
  type CertificateArn,
  type ListenerArn,
  type LoadBalancerArn,
  localRegion,
  type RuleArn,
  type TargetGroupArn,
  type TrustStoreArn,
} from './arns.ts'

export type LoadBalancer = {
  readonly arn: LoadBalancerArn
  /** 1-32 alphanumerics and hyphens. */
  readonly name: string
  /** 16 hex digits. */
  readonly id: string
  readonly dnsName: string
  /** The enabled ones, at least one. */
  readonly availabilityZones: readonly AvailabilityZone[]
  /** The name of the zone that a zonal shift moves traffic away from; null: there is none. */
  readonly shiftedZone: string | null
  readonly attributes: LoadBalancerAttributes
  readonly listeners: readonly Listener[]
}

/** In each of its zones a load balancer has a node, with addresses, health checks, counters and log files of its own. */
export type AvailabilityZone = {
  /** Unique in the load balancer. */
  readonly zoneName: string
  /** That the listeners bind, at least one. */
  readonly addresses: readonly string[]
}

/** Of a load balancer whose zones are not configured: the only one. */
export const defaultZone = `${localRegion}a`

/** A target in no zone in particular, which is in use wherever its load balancer is. */
export const allZones = 'all'

export type LoadBalancerAttributes = {
  /** `idle_timeout.timeout_seconds`, 1-4000. */
  readonly idleTimeoutSeconds: number
  /** `client_keep_alive.seconds`, 60-604800. */
  readonly clientKeepAliveSeconds: number
  /** `routing.http.preserve_host_header.enabled` */
  readonly preserveHostHeader: boolean
  /** `routing.http.xff_header_processing.mode` */
  readonly xffHeaderProcessingMode: 'append' | 'preserve' | 'remove'
  /** `routing.http.xff_client_port.enabled`; without effect unless the mode is `append`. */
  readonly xffClientPort: boolean
  /** `routing.http.drop_invalid_header_fields.enabled` */
  readonly dropInvalidHeaderFields: boolean
  /** `routing.http.x_amzn_tls_version_and_cipher_suite.enabled`; without effect on HTTP listeners. */
  readonly tlsHeaders: boolean
  /** `routing.http.desync_mitigation_mode` */
  readonly desyncMitigationMode: DesyncMitigationMode
  /** `routing.http2.enabled`: whether HTTPS listeners offer HTTP/2. */
  readonly http2: boolean
}

export const desyncMitigationModes = ['monitor', 'defensive', 'strictest'] as const
export type DesyncMitigationMode = (typeof desyncMitigationModes)[number]

export type Listener = {
  readonly arn: ListenerArn
  readonly protocol: 'HTTP' | 'HTTPS'
  /** Of HTTPS listeners; null on HTTP ones. */
  readonly tls: ListenerTls | null
  /** The listener's own port, 1-65535: what headers, logs and redirects speak of. */
  readonly port: number
  /** The port that is bound, which `--port-offset` may have moved; 0 lets the system choose (tests). */
  readonly bindPort: number
  readonly attributes: ListenerAttributes
  readonly defaultAction: RoutingAction
  /** By ascending priority; priorities are unique. */
  readonly rules: readonly Rule[]
}

export type ListenerTls = {
  /** One of the predefined ones, such as `ELBSecurityPolicy-2016-08`. */
  readonly sslPolicy: string
  /** At least one; the first is the default, the others are chosen by the name that the client asks for. */
  readonly certificates: readonly Certificate[]
  readonly mutualAuthentication: MutualAuthentication
}

export const mutualAuthenticationModes = ['off', 'passthrough', 'verify'] as const

/**
 * What is asked of clients in the way of certificates.
 *
 * @see https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_MutualAuthenticationAttributes.html
 */
export type MutualAuthentication =
  | { readonly mode: 'off' }
  /** Asked for, not checked, and shown to the target as it came. */
  | { readonly mode: 'passthrough' }
  | {
      readonly mode: 'verify'
      readonly trustStore: TrustStore
      readonly ignoreClientCertificateExpiry: boolean
      readonly advertiseTrustStoreCaNames: boolean
    }

/** Checked: every certificate and every list can be read. */
export type TrustStore = {
  readonly arn: TrustStoreArn
  readonly name: string
  /** PEM, one text each. */
  readonly caCertificates: readonly string[]
  /** Certificate revocation lists: PEM, one text each. */
  readonly revocationLists: readonly string[]
}

/** Checked: the key belongs to the certificate. */
export type Certificate = {
  readonly arn: CertificateArn
  /** PEM: the certificate, then its chain. */
  readonly certificate: string
  /** PEM, not encrypted. */
  readonly privateKey: string
}

export type ListenerAttributes = {
  /** `routing.http.response.server.enabled`: whether answers of the load balancer itself name their server. */
  readonly serverHeader: boolean
  /** `routing.http.response.<header>.header_value`: set on every response, in place of what the target says. */
  readonly responseHeaders: readonly ResponseHeader[]
  /** `routing.http.request.<header>.header_name`: what headers about the client's TLS are called towards targets. */
  readonly requestHeaderNames: RequestHeaderNames
}

/** As they are sent. */
export type RequestHeaderNames = {
  readonly mtlsSerialNumber: string
  readonly mtlsIssuer: string
  readonly mtlsSubject: string
  readonly mtlsValidity: string
  readonly mtlsLeaf: string
  readonly mtlsChain: string
  readonly tlsVersion: string
  readonly tlsCipherSuite: string
}

export const defaultRequestHeaderNames: RequestHeaderNames = {
  mtlsSerialNumber: 'X-Amzn-Mtls-Clientcert-Serial-Number',
  mtlsIssuer: 'X-Amzn-Mtls-Clientcert-Issuer',
  mtlsSubject: 'X-Amzn-Mtls-Clientcert-Subject',
  mtlsValidity: 'X-Amzn-Mtls-Clientcert-Validity',
  mtlsLeaf: 'X-Amzn-Mtls-Clientcert-Leaf',
  mtlsChain: 'X-Amzn-Mtls-Clientcert',
  tlsVersion: 'X-Amzn-Tls-Version',
  tlsCipherSuite: 'X-Amzn-Tls-Cipher-Suite',
}

export type ResponseHeader = {
  /** As it is sent, such as `Strict-Transport-Security`. */
  readonly name: string
  /** 1-1024 characters. */
  readonly value: string
}

export type Rule = {
  readonly arn: RuleArn
  /** 1-50000; the lowest matching one wins. */
  readonly priority: number
  /** All of them must match. */
  readonly conditions: readonly Condition[]
  readonly action: RoutingAction
  readonly transforms: Transforms
}

/** A condition is met by any of its values. */
export type Condition =
  | ({ readonly field: 'host-header' } & TextValues)
  | ({ readonly field: 'path-pattern' } & TextValues)
  | ({
      readonly field: 'http-header'
      /** A token of at most 40 characters, in the case it was given in; compared without. */
      readonly httpHeaderName: string
    } & TextValues)
  | {
      readonly field: 'http-request-method'
      /** Compared exactly. */
      readonly values: readonly string[]
    }
  | {
      readonly field: 'query-string'
      readonly values: readonly QueryStringValue[]
    }
  | {
      readonly field: 'source-ip'
      /** CIDR blocks, IPv4 or IPv6, of the TCP peer. */
      readonly values: readonly string[]
    }

/** One of the two is empty. Case counts in paths only. */
export type TextValues = {
  /** At most 128 characters; `*` and `?` are wildcards. */
  readonly values: readonly string[]
  /** At most 128 characters; they search, unless anchored by `^` or `$`. */
  readonly regexValues: readonly string[]
}

/** Compared without case; `*` and `?` are wildcards, a backslash takes the meaning from the character behind it. */
export type QueryStringValue = {
  /** Null: any key. */
  readonly key: string | null
  readonly value: string
}

/** What a rule changes of a request before its target gets it. */
export type Transforms = {
  readonly hostHeaderRewrite: Rewrite | null
  readonly urlRewrite: Rewrite | null
}

export type Rewrite = {
  /** 1-1024 characters, of the linear-time dialect. */
  readonly regex: string
  /** At most 1024 characters; `$1` and so on stand for groups. */
  readonly replace: string
}

export const noTransforms: Transforms = { hostHeaderRewrite: null, urlRewrite: null }

export type RoutingAction = ForwardAction | RedirectAction | FixedResponseAction

export type ForwardAction = {
  readonly type: 'forward'
  /** 1-5, each once. */
  readonly targetGroups: readonly WeightedTargetGroup[]
  /** `TargetGroupStickinessConfig.DurationSeconds`, 1-604800; null: the client is not tied to one target group. */
  readonly stickinessSeconds: number | null
}

export type WeightedTargetGroup = {
  readonly arn: TargetGroupArn
  /** 0-999, relative to the sum of all; 0 takes a group out of rotation. */
  readonly weight: number
}

/** The parts keep their placeholders (`#{host}` and so on); omitted ones have become the service's defaults. */
export type RedirectAction = {
  readonly type: 'redirect'
  readonly protocol: string
  readonly host: string
  readonly port: string
  readonly path: string
  readonly query: string
  readonly statusCode: 301 | 302
}

export type FixedResponseAction = {
  readonly type: 'fixed-response'
  /** 2xx, 4xx or 5xx. */
  readonly statusCode: number
  /** At most 1024 characters. */
  readonly messageBody: string
  readonly contentType: FixedResponseContentType
}

export const fixedResponseContentTypes = [
  'text/plain',
  'text/css',
  'text/html',
  'application/javascript',
  'application/json',
] as const
export type FixedResponseContentType = (typeof fixedResponseContentTypes)[number]

export type TargetGroup = {
  readonly arn: TargetGroupArn
  /** 1-32 alphanumerics and hyphens. */
  readonly name: string
  readonly targetType: 'ip'
  readonly protocol: 'HTTP' | 'HTTPS'
  readonly protocolVersion: ProtocolVersion
  readonly port: number
  readonly healthCheck: HealthCheck
  readonly attributes: TargetGroupAttributes
  readonly targets: readonly Target[]
}

export const protocolVersions = ['HTTP1', 'HTTP2', 'GRPC'] as const
/** What targets speak: HTTP2 and GRPC groups get HTTP/2, without TLS by prior knowledge. */
export type ProtocolVersion = (typeof protocolVersions)[number]

export type TargetGroupAttributes = {
  /** `deregistration_delay.timeout_seconds`, 0-3600. */
  readonly deregistrationDelaySeconds: number
  /** `load_balancing.algorithm.type` */
  readonly algorithm: LoadBalancingAlgorithm
  /** `load_balancing.algorithm.anomaly_mitigation`; with `weighted_random` only. */
  readonly anomalyMitigation: boolean
  /** `slow_start.duration_seconds`, 30-900, or 0 for none; with `round_robin` only. */
  readonly slowStartSeconds: number
  /** `stickiness.*`; null when not enabled. */
  readonly stickiness: Stickiness | null
  /**
   * `load_balancing.cross_zone.enabled`: whether a node sends requests to targets of other zones. What
   * `use_load_balancer_configuration` leaves to the load balancer is always on there.
   */
  readonly crossZone: boolean
  /** `target_group_health.unhealthy_state_routing.*`: with less than this, nodes use unhealthy targets as well. */
  readonly routingThreshold: HealthThreshold
  /** `target_group_health.dns_failover.*`: with less than this, DNS does not lead to the zone. */
  readonly dnsThreshold: HealthThreshold
}

/** `minimum_healthy_targets`: missed as soon as one of the two is; null is off. */
export type HealthThreshold = {
  /** 1 or more. */
  readonly count: number | null
  /** 1-100, of the targets that a node may use. */
  readonly percentage: number | null
}

export const loadBalancingAlgorithms = ['round_robin', 'least_outstanding_requests', 'weighted_random'] as const
export type LoadBalancingAlgorithm = (typeof loadBalancingAlgorithms)[number]

export type Stickiness =
  | { readonly type: 'lb_cookie'; readonly durationSeconds: number }
  | {
      readonly type: 'app_cookie'
      /** The target's own cookie that begins it. */
      readonly cookieName: string
      readonly durationSeconds: number
    }

export type HealthCheck = {
  /** Of the probes; targets may be spoken to in another way. */
  readonly protocol: 'HTTP' | 'HTTPS'
  /** `traffic-port` is each target's own port. */
  readonly port: number | 'traffic-port'
  /** 1-1024 characters, starts with `/`; may hold a query, and is a method for GRPC groups. */
  readonly path: string
  /** 5-300, or shorter by a test-only knob. */
  readonly intervalSeconds: number
  /** 2-120, smaller than the interval. */
  readonly timeoutSeconds: number
  /** 2-10. */
  readonly healthyThresholdCount: number
  /** 2-10. */
  readonly unhealthyThresholdCount: number
  /** At least one; statuses of HTTP (200-499), and of gRPC (0-99) for GRPC groups. */
  readonly matcher: readonly CodeRange[]
}

/** Both ends included. */
export type CodeRange = { readonly from: number; readonly to: number }

export type Target = {
  /** IPv4 or IPv6 address, in canonical form. */
  readonly ip: string
  readonly port: number
  /** The name of a zone, or `allZones`. */
  readonly availabilityZone: string
}

/** Everything that is configured, as one value: what a config file or the API amounts to. */
export type Resources = {
  readonly loadBalancers: readonly LoadBalancer[]
  readonly targetGroups: readonly TargetGroup[]
}

/** The target groups that the actions of a listener forward to, each as often as they do. */
export function forwardedGroups({ defaultAction, rules }: Listener): TargetGroupArn[] {
  const actions = [defaultAction, ...rules.map(rule => rule.action)]
  return actions.flatMap(action => (action.type === 'forward' ? action.targetGroups.map(({ arn }) => arn) : []))
}

/** What a node is known by that listens on this address: the loopback one, where that is all of the machine's. */
export function nodeIpOf(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1'
  return address === '::' ? '::1' : address
}

/** `ip:port`, as logs write it. An IPv6 address is bracketed (assumed; no sample line shows one). */
export function formatAddress(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}
