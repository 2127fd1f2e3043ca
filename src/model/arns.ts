/** Names of resources. A brand says that a string was built or checked here. */

declare const brand: unique symbol
type Brand<Name extends string> = string & { readonly [brand]: Name }

export type LoadBalancerArn = Brand<'LoadBalancerArn'>
export type ListenerArn = Brand<'ListenerArn'>
export type RuleArn = Brand<'RuleArn'>
export type TargetGroupArn = Brand<'TargetGroupArn'>
export type CertificateArn = Brand<'CertificateArn'>
export type TrustStoreArn = Brand<'TrustStoreArn'>

/** Who owns what is described in a config file: there is no account, so the documentation's example one. */
export const localAccount = '123456789012'
export const localRegion = 'us-east-1'

/** Browsers and curl resolve everything below `localhost` to this machine, without any DNS. */
export const dnsDomain = 'elb.localhost'

const prefix = `arn:aws:elasticloadbalancing:${localRegion}:${localAccount}:`

/** @param id 16 hex digits */
export function loadBalancerArn(name: string, id: string): LoadBalancerArn {
  return `${prefix}loadbalancer/app/${name}/${id}` as LoadBalancerArn
}

export function listenerArn(name: string, loadBalancerId: string, id: string): ListenerArn {
  return `${prefix}listener/app/${name}/${loadBalancerId}/${id}` as ListenerArn
}

export function ruleArn(name: string, loadBalancerId: string, listenerId: string, id: string): RuleArn {
  return `${prefix}listener-rule/app/${name}/${loadBalancerId}/${listenerId}/${id}` as RuleArn
}

export function targetGroupArn(name: string, id: string): TargetGroupArn {
  return `${prefix}targetgroup/${name}/${id}` as TargetGroupArn
}

/** @param id 16 hex digits */
export function trustStoreArn(name: string, id: string): TrustStoreArn {
  return `${prefix}truststore/${name}/${id}` as TrustStoreArn
}

/** @param id a UUID */
export function certificateArn(id: string): CertificateArn {
  return `arn:aws:acm:${localRegion}:${localAccount}:certificate/${id}` as CertificateArn
}

/** The `app/<name>/<id>` part of an ARN, which access logs and metrics call the load balancer. */
export function resourceId(arn: LoadBalancerArn): string {
  return arn.slice(prefix.length + 'loadbalancer/'.length)
}
