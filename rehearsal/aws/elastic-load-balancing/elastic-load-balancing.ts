import { createRequire } from 'node:module';
import type {
  DescribeListenersCommandInput,
  DescribeLoadBalancersCommandInput,
  DescribeTargetGroupsCommandInput,
  LoadBalancerTypeEnum,
  ProtocolEnum,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { AwsError } from '../aws-error.ts';
import { anywhere, type Call, type Operations, operation, type Service } from '../cloud.ts';
import { pageOf } from '../page-of.ts';
import type { Place } from '../place.ts';
import { arnOf, hash } from '../template/resource.ts';

/** A load balancer that somebody made. */
export interface LoadBalancer extends Place {
  name: string;
  type: Extract<LoadBalancerTypeEnum, 'application' | 'network'>;
  /** @default 'internal' */
  scheme?: 'internal' | 'internet-facing';
  vpcId: string;
  subnets: { id: string; availabilityZone: string }[];
  /** @default none */
  securityGroupIds?: string[];
  listeners: { port: number; protocol: ProtocolEnum; targetGroup: string }[];
}

/** On a page by default, and at most (Elastic Load Balancing API reference). */
const PER_PAGE = 400;

/** Elastic Load Balancing, of which it is asked what stands before a service. */
export class ElasticLoadBalancing implements Service {
  readonly signingName = 'elasticloadbalancing';
  readonly accessDenied = 'AccessDenied';
  readonly namespace = 'http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/';
  readonly #balancers: LoadBalancer[] = [];
  // None of them knows resources (Service Authorization Reference).
  readonly operations: Operations = {
    DescribeLoadBalancers: operation(
      anywhere('elasticloadbalancing:DescribeLoadBalancers'),
      (
        { LoadBalancerArns: arns, Names: names, Marker, PageSize }: DescribeLoadBalancersCommandInput,
        call,
      ) => {
        const all = this.#in(call);
        const wanted = all.filter(
          (each) => (arns?.includes(loadBalancerArn(each)) ?? true) && (names?.includes(each.name) ?? true),
        );
        if ((arns ?? names) !== undefined && wanted.length < (arns ?? names ?? []).length)
          throw new AwsError('LoadBalancerNotFound', 'One or more load balancers not found');
        const { items, next } = pageOf(wanted, Marker, PageSize ?? PER_PAGE);
        return { LoadBalancers: items.map(described), NextMarker: next };
      },
    ),
    DescribeTargetGroups: operation(
      anywhere('elasticloadbalancing:DescribeTargetGroups'),
      ({ TargetGroupArns: arns, LoadBalancerArn: of, Marker }: DescribeTargetGroupsCommandInput, call) => {
        const all = this.#in(call).flatMap((balancer) =>
          [...new Set(balancer.listeners.map(({ targetGroup }) => targetGroup))].map((name) => ({
            TargetGroupArn: targetGroupArn(name, balancer),
            TargetGroupName: name,
            VpcId: balancer.vpcId,
            LoadBalancerArns: [loadBalancerArn(balancer)],
          })),
        );
        const wanted = all.filter(
          ({ TargetGroupArn, LoadBalancerArns }) =>
            (arns?.includes(TargetGroupArn) ?? true) && (of === undefined || LoadBalancerArns.includes(of)),
        );
        if (arns !== undefined && wanted.length < arns.length)
          throw new AwsError('TargetGroupNotFound', 'One or more target groups not found');
        const { items, next } = pageOf(wanted, Marker, PER_PAGE);
        return { TargetGroups: items, NextMarker: next };
      },
    ),
    DescribeListeners: operation(
      anywhere('elasticloadbalancing:DescribeListeners'),
      ({ LoadBalancerArn: of, Marker }: DescribeListenersCommandInput, call) => {
        const balancer = this.#in(call).find((each) => loadBalancerArn(each) === of);
        if (balancer === undefined)
          throw new AwsError('LoadBalancerNotFound', 'One or more load balancers not found');
        const { items, next } = pageOf(balancer.listeners, Marker, PER_PAGE);
        return {
          Listeners: items.map(({ port, protocol, targetGroup }) => ({
            ListenerArn: `${loadBalancerArn(balancer).replace(':loadbalancer/', ':listener/')}/${hash(`${balancer.name} ${port}`, 16)}`,
            LoadBalancerArn: loadBalancerArn(balancer),
            Port: port,
            Protocol: protocol,
            DefaultActions: [
              { Type: 'forward' as const, TargetGroupArn: targetGroupArn(targetGroup, balancer) },
            ],
          })),
          NextMarker: next,
        };
      },
    ),
  };

  /** Few ask for it, and it takes its time. */
  get client(): object {
    return createRequire(import.meta.url)('@aws-sdk/client-elastic-load-balancing-v2') as object;
  }

  /** Makes a load balancer, as somebody else does. */
  put(balancer: LoadBalancer): void {
    this.#balancers.push(balancer);
  }

  #in({ account, region }: Pick<Call, keyof Place>): LoadBalancer[] {
    return this.#balancers.filter((each) => each.account === account && each.region === region);
  }
}

/** The ARN of a target group, by which a service of ECS names it. */
export function targetGroupArn(name: string, place: Place): string {
  return arnOf('elasticloadbalancing', 'targetgroup/')(place, `${name}/${hash(name, 16)}`);
}

function loadBalancerArn(balancer: LoadBalancer): string {
  const { name, type } = balancer;
  const kind = type === 'network' ? 'net' : 'app';
  return arnOf('elasticloadbalancing', 'loadbalancer/')(balancer, `${kind}/${name}/${hash(name, 16)}`);
}

function described(balancer: LoadBalancer) {
  const { name, type, scheme = 'internal', vpcId, subnets, securityGroupIds = [], region } = balancer;
  const host = `${name}-${hash(name, 16)}`;
  return {
    LoadBalancerArn: loadBalancerArn(balancer),
    LoadBalancerName: name,
    DNSName:
      type === 'network'
        ? `${host}.elb.${region}.amazonaws.com`
        : `${scheme === 'internal' ? 'internal-' : ''}${host}.${region}.elb.amazonaws.com`,
    Scheme: scheme,
    VpcId: vpcId,
    State: { Code: 'active' as const },
    Type: type,
    AvailabilityZones: subnets.map(({ id, availabilityZone }) => ({
      SubnetId: id,
      ZoneName: availabilityZone,
    })),
    SecurityGroups: securityGroupIds,
  };
}
