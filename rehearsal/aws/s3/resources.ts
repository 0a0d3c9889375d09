import { byArn, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const S3_RESOURCES: ResourceTypes = {
  'AWS::S3::Bucket': {
    name: 'BucketName',
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
