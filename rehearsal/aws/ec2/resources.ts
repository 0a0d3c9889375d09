import { arnOf, hash, type ResourceTypes } from '../template/resource.ts';

/** Of the network, of which only the identity matters here. */
export const EC2_RESOURCES: ResourceTypes = {
  'AWS::EC2::SecurityGroup': {
    arn: arnOf('ec2', 'security-group/'),
    ref: (resource) => `sg-${hash(resource.arn, 17)}`,
    attributes: { GroupId: (resource) => `sg-${hash(resource.arn, 17)}` },
    properties: undefined,
  },
  'AWS::EC2::SecurityGroupIngress': { arn: arnOf('ec2', 'security-group-rule/'), properties: undefined },
  'AWS::EC2::SecurityGroupEgress': { arn: arnOf('ec2', 'security-group-rule/'), properties: undefined },
  'AWS::EC2::VPCEndpoint': {
    arn: arnOf('ec2', 'vpc-endpoint/'),
    ref: (resource) => `vpce-${hash(resource.arn, 17)}`,
    properties: undefined,
  },
};
