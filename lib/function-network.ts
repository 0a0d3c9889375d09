import { type ISecurityGroup, type ISubnet, type IVpc, SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import * as v from 'valibot';
import { field } from './checks/fields.ts';
import type { Finding } from './checks/mistakes.ts';
import { thing } from './checks/props.ts';

/** Where in a VPC a function stands. */
export interface FunctionNetwork {
  /** The VPC of subnets and security groups. */
  readonly vpc: IVpc;
  /**
   * One in each availability zone to use, at most 16. From there the function must reach AWS: by a NAT gateway, or by
   * interface endpoints.
   * @default a private one of the VPC in each zone
   */
  readonly subnets?: ISubnet[];
  /** At most five. @default one of its own, which lets everything out */
  readonly securityGroups?: ISecurityGroup[];
}

/** Of what a network is by itself. */
export function networkProps() {
  return field(
    v.looseObject({
      vpc: thing('vpcId', 'a VPC, such as Vpc.fromVpcAttributes(…)', 'The VPC.'),
      subnets: v.optional(
        field(v.array(thing('subnetId', 'a subnet', 'A subnet.')), 'a list of subnets', 'The subnets.'),
      ),
      securityGroups: v.optional(
        field(
          v.array(thing('securityGroupId', 'a security group', 'A security group.')),
          'a list of security groups',
          'The security groups.',
        ),
      ),
    }),
    'an object with "vpc"',
    'Where the function stands.',
  );
}

/** Lambda's limits on a function. */
const MAXIMUM_SUBNETS = 16;
const MAXIMUM_SECURITY_GROUPS = 5;

/** A network as it is when nothing is left out. */
export function resolvedNetwork(
  scope: Construct,
  { vpc, subnets = privateSubnets(vpc), securityGroups }: FunctionNetwork,
): Required<FunctionNetwork> {
  return {
    vpc,
    subnets,
    securityGroups: securityGroups ?? [
      new SecurityGroup(scope, 'SecurityGroup', { vpc, description: `Functions of ${scope.node.path}` }),
    ],
  };
}

/** What is wrong with a network. */
export function networkFindings(network: FunctionNetwork | undefined): Finding[] {
  if (!network) return [];
  const { vpc, subnets, securityGroups } = network;
  const at = (name: string, problem: string): Finding => ({ field: ['network', name], problem });
  const given = subnets ?? privateSubnets(vpc);
  return [
    ...(given.length >= 1 && given.length <= MAXIMUM_SUBNETS
      ? []
      : [
          subnets
            ? at('subnets', `are ${given.length}; they must be 1 to ${MAXIMUM_SUBNETS}, Lambda's limit.`)
            : at('vpc', 'has no private subnet; it must have one, or the subnets must be given.'),
        ]),
    ...(securityGroups && (securityGroups.length === 0 || securityGroups.length > MAXIMUM_SECURITY_GROUPS)
      ? [
          at(
            'securityGroups',
            `are ${securityGroups.length}; they must be 1 to ${MAXIMUM_SECURITY_GROUPS}, Lambda's limit, or be left out.`,
          ),
        ]
      : []),
  ];
}

function privateSubnets(vpc: IVpc): ISubnet[] {
  const subnets = vpc.privateSubnets.length > 0 ? vpc.privateSubnets : vpc.isolatedSubnets;
  const zones = subnets.map(({ availabilityZone }) => availabilityZone);
  return subnets.filter((_, index) => zones.indexOf(zones[index] ?? '') === index);
}
