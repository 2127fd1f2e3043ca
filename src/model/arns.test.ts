import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listenerArn, loadBalancerArn, resourceId, ruleArn, targetGroupArn } from './arns.ts'

const id = '50dc6c495c0c9188'

/** @see https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticloadbalancingv2.html */
test('ARNs have the form of the service', () => {
  const prefix = 'arn:aws:elasticloadbalancing:us-east-1:123456789012:'
  assert.equal(loadBalancerArn('web', id), `${prefix}loadbalancer/app/web/${id}`)
  assert.equal(listenerArn('web', id, 'f2f7dc8efc522ab2'), `${prefix}listener/app/web/${id}/f2f7dc8efc522ab2`)
  assert.equal(
    ruleArn('web', id, 'f2f7dc8efc522ab2', '9683b2d02a6cabee'),
    `${prefix}listener-rule/app/web/${id}/f2f7dc8efc522ab2/9683b2d02a6cabee`,
  )
  assert.equal(targetGroupArn('app', id), `${prefix}targetgroup/app/${id}`)
})

test('logs and metrics call a load balancer by the end of its ARN', () => {
  assert.equal(resourceId(loadBalancerArn('web', id)), `app/web/${id}`)
})
