import { arnOf, hash, type Resource, type ResourceTypes } from '../template/resource.ts';

export function securityGroupId({ arn }: Resource): string {
  return `sg-${hash(arn, 17)}`;
}

export function endpointId({ arn }: Resource): string {
  return `vpce-${hash(arn, 17)}`;
}

/** Of the network, of which only the identity matters here. */
export const EC2_RESOURCES: ResourceTypes = {
  'AWS::EC2::SecurityGroup': {
    arn: arnOf('ec2', 'security-group/'),
    ref: securityGroupId,
    attributes: { GroupId: securityGroupId },
    properties: undefined,
  },
  'AWS::EC2::SecurityGroupIngress': { arn: arnOf('ec2', 'security-group-rule/'), properties: undefined },
  'AWS::EC2::SecurityGroupEgress': { arn: arnOf('ec2', 'security-group-rule/'), properties: undefined },
  'AWS::EC2::VPCEndpoint': {
    arn: arnOf('ec2', 'vpc-endpoint/'),
    ref: endpointId,
    properties: undefined,
  },
};
