import { arnOf, byArn, hash, type ResourceTypes, uuid } from '../template/resource.ts';

/** What is known of them in templates. */
export const ACCESS_RESOURCES: ResourceTypes = {
  'AWS::IAM::ManagedPolicy': {
    name: 'ManagedPolicyName',
    arn: ({ account }, name) => `arn:aws:iam::${account}:policy/${name}`,
    ref: byArn,
    properties: ['ManagedPolicyName', 'Description', 'Path', 'PolicyDocument', 'Roles'],
  },
  'AWS::IAM::Policy': {
    name: 'PolicyName',
    arn: ({ account }, name) => `arn:aws:iam::${account}:policy/${name}`,
    properties: ['PolicyName', 'PolicyDocument', 'Roles'],
  },
  'AWS::IAM::Role': {
    name: 'RoleName',
    arn: ({ account }, name) => `arn:aws:iam::${account}:role/${name}`,
    attributes: { Arn: byArn, RoleId: (resource) => `AROA${hash(resource.arn, 17).toUpperCase()}` },
    properties: [
      'RoleName',
      'Description',
      'AssumeRolePolicyDocument',
      'ManagedPolicyArns',
      'Policies',
      'MaxSessionDuration',
      'Tags',
    ],
  },
  'AWS::KMS::Alias': {
    name: 'AliasName',
    arn: arnOf('kms'),
    properties: ['AliasName', 'TargetKeyId'],
  },
  'AWS::KMS::Key': {
    arn: ({ account, region }, name) =>
      `arn:aws:kms:${region}:${account}:key/${uuid(account + region + name)}`,
    ref: (resource) => resource.arn.replace(/^.*\//, ''),
    attributes: { Arn: byArn, KeyId: (resource) => resource.arn.replace(/^.*\//, '') },
    properties: [
      'KeyPolicy',
      'Description',
      'EnableKeyRotation',
      'RotationPeriodInDays',
      'PendingWindowInDays',
      'Enabled',
      'KeySpec',
      'KeyUsage',
      'Tags',
    ],
  },
};
