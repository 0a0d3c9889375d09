import { byArn, hash, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const S3_RESOURCES: ResourceTypes = {
  'AWS::S3::Bucket': {
    name: 'BucketName',
    makeName: ({ account, region }, _properties, next) => {
      const key = `bucket-${account}-${region}`;
      return `bucket-${hash(`${key}-${next(key)}`, 12)}`;
    },
    arn: (_place, name) => `arn:aws:s3:::${name}`,
    attributes: { Arn: byArn, DomainName: ({ name }) => `${name}.s3.amazonaws.com` },
    properties: [
      'BucketName',
      'BucketEncryption',
      'LifecycleConfiguration',
      'LoggingConfiguration',
      'OwnershipControls',
      'PublicAccessBlockConfiguration',
      'Tags',
      'VersioningConfiguration',
    ],
  },
  'AWS::S3::BucketPolicy': {
    arn: (_place, name) => `arn:aws:s3:::policy/${name}`,
    properties: ['Bucket', 'PolicyDocument'],
  },
};
