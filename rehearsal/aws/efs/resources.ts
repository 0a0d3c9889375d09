import { arnOf, byArn, hash, type ResourceTypes } from '../template/resource.ts';

/** What is known of them in templates. */
export const EFS_RESOURCES: ResourceTypes = {
  'AWS::EFS::AccessPoint': {
    arn: (place, name) => arnOf('elasticfilesystem', 'access-point/')(place, `fsap-${hash(name, 17)}`),
    ref: (resource) => `fsap-${hash(resource.name, 17)}`,
    attributes: { AccessPointId: (resource) => `fsap-${hash(resource.name, 17)}`, Arn: byArn },
    properties: ['AccessPointTags', 'FileSystemId', 'PosixUser', 'RootDirectory'],
  },
  'AWS::EFS::FileSystem': {
    arn: (place, name) => arnOf('elasticfilesystem', 'file-system/')(place, `fs-${hash(name, 17)}`),
    ref: (resource) => `fs-${hash(resource.name, 17)}`,
    attributes: { FileSystemId: (resource) => `fs-${hash(resource.name, 17)}`, Arn: byArn },
    properties: [
      'BackupPolicy',
      'Encrypted',
      'FileSystemPolicy',
      'FileSystemProtection',
      'FileSystemTags',
      'KmsKeyId',
      'LifecyclePolicies',
      'PerformanceMode',
      'ProvisionedThroughputInMibps',
      'ReplicationConfiguration',
      'ThroughputMode',
    ],
  },
  'AWS::EFS::MountTarget': {
    arn: arnOf('elasticfilesystem', 'mount-target/'),
    properties: ['FileSystemId', 'SecurityGroups', 'SubnetId'],
  },
};
