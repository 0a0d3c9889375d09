import type { Stack } from 'aws-cdk-lib';
import { SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import type { FunctionNetwork } from '../../lib/function-network.ts';

/** A network of one subnet, in the first zone of the stack's region. Nothing in it exists. */
export function networkIn(stack: Stack): FunctionNetwork {
  const availabilityZone = `${stack.region}a`;
  return {
    vpc: Vpc.fromVpcAttributes(stack, 'Vpc', {
      vpcId: 'vpc-12345678',
      availabilityZones: [availabilityZone],
    }),
    subnets: [
      Subnet.fromSubnetAttributes(stack, 'Subnet', {
        subnetId: 'subnet-12345678',
        availabilityZone,
        routeTableId: 'rtb-12345678',
      }),
    ],
    securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Group', 'sg-12345678')],
  };
}
