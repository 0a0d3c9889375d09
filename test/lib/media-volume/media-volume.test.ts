import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CfnResource, type Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { MediaVolumeAlarms } from '../../../lib/media-volume/media-volume-alarms.ts';
import { ofType, resourcesOf, textOf } from '../template.ts';
import { ACCOUNT, existing, only, subnet, subnetsOf, taskOf, topicOf, volumeStack } from './volumes.ts';

describe('a media volume', () => {
  it('is encrypted, backed up, and kept when its stack is deleted or it is replaced', () => {
    const template = Template.fromStack(volumeStack().stack);
    template.hasResource('AWS::EFS::FileSystem', {
      DeletionPolicy: 'Retain',
      UpdateReplacePolicy: 'Retain',
      Properties: { Encrypted: true, KmsKeyId: Match.absent(), BackupPolicy: { Status: 'ENABLED' } },
    });
  });

  it('is encrypted with a key that it is given', () => {
    const { stack } = volumeStack((scope) => ({ encryptionKey: new Key(scope, 'Key') }));
    Template.fromStack(stack).hasResourceProperties('AWS::EFS::FileSystem', {
      Encrypted: true,
      KmsKeyId: { 'Fn::GetAtt': [Match.stringLikeRegexp('Key'), 'Arn'] },
    });
  });

  it('has one mount target in each zone, named after its subnet and not its place in the list', () => {
    const targets = (subnets: string[]) =>
      ofType(
        resourcesOf(volumeStack((scope) => ({ subnets: subnetsOf(scope, subnets) })).stack),
        'AWS::EFS::MountTarget',
      ).map(([id, { Properties }]) => [Properties.SubnetId, id]);
    const both = targets(['b', 'c']);
    assert.deepEqual(
      both.map(([subnet]) => subnet),
      ['subnet-0000000b', 'subnet-0000000c'],
    );
    assert.deepEqual(targets(['a', 'b', 'c']).slice(1), both);
  });

  it('lets nobody in but the security groups that it is told of, and nothing out', () => {
    const closed = resourcesOf(volumeStack().stack);
    assert.deepEqual(ofType(closed, 'AWS::EC2::SecurityGroupIngress'), []);
    const group = only(closed, 'AWS::EC2::SecurityGroup').Properties;
    assert.equal(group.SecurityGroupIngress, undefined);
    assert.equal(group.SecurityGroupEgress[0].Description, 'Disallow all traffic');
    const { stack } = volumeStack((scope) => ({
      clients: [SecurityGroup.fromSecurityGroupId(scope, 'Tasks', 'sg-00000001', { mutable: false })],
    }));
    Template.fromStack(stack).hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
      SourceSecurityGroupId: 'sg-00000001',
      IpProtocol: 'tcp',
      FromPort: 2049,
      ToPort: 2049,
    });
  });

  it('pays for what it moves, and moves to infrequent access what was not used for two weeks', () => {
    Template.fromStack(volumeStack().stack).hasResourceProperties('AWS::EFS::FileSystem', {
      ThroughputMode: 'elastic',
      PerformanceMode: 'generalPurpose',
      LifecyclePolicies: [{ TransitionToIA: 'AFTER_14_DAYS' }],
    });
  });

  it('takes throughput, lifecycle and replication as they are configured', () => {
    const { stack } = volumeStack(() => ({
      infrequentAccessAfter: 7,
      archiveAfter: 90,
      replication: { region: 'eu-central-1' },
      automaticBackups: false,
    }));
    Template.fromStack(stack).hasResourceProperties('AWS::EFS::FileSystem', {
      LifecyclePolicies: [{ TransitionToIA: 'AFTER_7_DAYS' }, { TransitionToArchive: 'AFTER_90_DAYS' }],
      ReplicationConfiguration: { Destinations: [{ Region: 'eu-central-1' }] },
      BackupPolicy: Match.absent(),
    });
    Template.fromStack(
      volumeStack(() => ({
        throughput: { provisionedMebibytesPerSecond: 64 },
        infrequentAccessAfter: 'never',
      })).stack,
    ).hasResourceProperties('AWS::EFS::FileSystem', {
      ThroughputMode: 'provisioned',
      ProvisionedThroughputInMibps: 64,
      LifecyclePolicies: Match.absent(),
    });
  });

  for (const { what, access, expected } of [
    {
      what: 'keeps the owners of files by default',
      access: {},
      expected: {
        PosixUser: Match.absent(),
        RootDirectory: {
          Path: '/media',
          CreationInfo: { OwnerUid: '0', OwnerGid: '0', Permissions: '755' },
        },
      },
    },
    {
      what: 'acts as an owner that it is given, in a directory of its own',
      access: { owner: { uid: 1000, gid: 1001 }, directory: '/latam/media' },
      expected: {
        PosixUser: { Uid: '1000', Gid: '1001' },
        RootDirectory: {
          Path: '/latam/media',
          CreationInfo: { OwnerUid: '1000', OwnerGid: '1001', Permissions: '750' },
        },
      },
    },
    {
      what: 'gives the directory to whom it is told',
      access: { directoryOwner: { uid: 33, gid: 33, mode: '770' } },
      expected: {
        RootDirectory: { CreationInfo: { OwnerUid: '33', OwnerGid: '33', Permissions: '770' } },
      },
    },
  ])
    it(`has an access point that ${what}`, () => {
      Template.fromStack(volumeStack(() => ({ access })).stack).hasResourceProperties(
        'AWS::EFS::AccessPoint',
        expected,
      );
    });

  for (const { what, change, says } of [
    {
      what: 'two subnets of one zone',
      change: (scope: Stack) => ({ subnets: [...subnetsOf(scope, ['a', 'b']), subnet(scope, 'again', 'a')] }),
      says: /subnet-0000000a and subnet-again lie in one availability zone, "eu-west-1a".*Give one of them/,
    },
    { what: 'no subnet', change: () => ({ subnets: [] }), says: /no subnet\. Give one in each zone/ },
    {
      what: 'archive without elastic throughput',
      change: () => ({ archiveAfter: 90 as const, throughput: 'bursting' as const }),
      says: /only with elastic throughput/,
    },
    {
      what: 'archive before infrequent access',
      change: () => ({ archiveAfter: 14 as const }),
      says: /only after infrequent access \(14\)/,
    },
    {
      what: 'archive without infrequent access',
      change: () => ({ archiveAfter: 90 as const, infrequentAccessAfter: 'never' as const }),
      says: /only after infrequent access \(never\)/,
    },
    {
      what: 'provisioned throughput of nothing',
      change: () => ({ throughput: { provisionedMebibytesPerSecond: 0 } }),
      says: /at least 1 MiB a second/,
    },
    {
      what: 'a replica in the same region',
      change: () => ({ replication: { region: 'eu-west-1' } }),
      says: /Name another region/,
    },
    {
      what: 'a role with a wildcard',
      change: () => ({ roleArns: [`arn:aws:iam::${ACCOUNT}:role/latam-*`] }),
      says: /"arn:aws:iam::111111111111:role\/latam-\*" is not the ARN of a role\. .* without a wildcard/,
    },
    {
      what: 'a session of a role',
      change: () => ({ roleArns: [`arn:aws:sts::${ACCOUNT}:assumed-role/latam/session`] }),
      says: /is not the ARN of a role/,
    },
    {
      what: 'the root of the file system as its directory',
      change: () => ({ access: { directory: '/' } }),
      says: /one to four levels/,
    },
    {
      what: 'a relative directory',
      change: () => ({ access: { directory: 'media' } }),
      says: /must be an absolute path/,
    },
    {
      what: 'a directory too deep',
      change: () => ({ access: { directory: '/a/b/c/d/e' } }),
      says: /one to four levels/,
    },
  ])
    it(`refuses ${what}, with a sentence`, () => {
      assert.throws(() => volumeStack(change), { message: says });
    });

  it('refuses to be mounted by nobody', () => {
    const { stack } = volumeStack(() => ({ roleArns: [] }));
    assert.throws(() => Template.fromStack(stack), /no role may mount the volume\. Name the task roles/);
  });
});

describe('a file system that exists', () => {
  it('gets an access point, and nothing else of ours', () => {
    const { stack } = existing();
    assert.deepEqual(
      Object.values(resourcesOf(stack)).map(({ Type }) => Type),
      ['AWS::EFS::AccessPoint'],
    );
    Template.fromStack(stack).hasResourceProperties('AWS::EFS::AccessPoint', {
      FileSystemId: 'fs-00000001',
      PosixUser: Match.absent(),
      RootDirectory: { Path: '/media' },
    });
  });

  it('gets nothing where an access point is named', () => {
    const { stack } = existing({ accessPointId: 'fsap-00000001' });
    assert.deepEqual(stack.node.findAll().filter(CfnResource.isCfnResource), []);
  });

  it('is mounted as one of ours', () => {
    const { stack, volume } = existing({ accessPointId: 'fsap-00000001' });
    volume.mountOn(taskOf(stack), { container: 'wa-web' });
    Template.fromStack(stack).hasResourceProperties('AWS::ECS::TaskDefinition', {
      Volumes: [
        {
          Name: 'media',
          EFSVolumeConfiguration: {
            FilesystemId: 'fs-00000001',
            TransitEncryption: 'ENABLED',
            AuthorizationConfig: { AccessPointId: 'fsap-00000001', IAM: 'ENABLED' },
          },
        },
      ],
    });
  });

  it('has its alarms', () => {
    const { stack, volume } = existing();
    new MediaVolumeAlarms(stack, 'Alarms', { volume, topic: topicOf(stack), bursting: true });
    Template.fromStack(stack).hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmName: 'latam-media-burst-credits',
      Dimensions: [{ Name: 'FileSystemId', Value: 'fs-00000001' }],
    });
  });
});

describe('the lines for a running deployment', () => {
  const { volume, stack } = existing({ accessPointId: 'fsap-00000001' });
  const lines = volume.lines();
  const parsed = (line: string) => JSON.parse(textOf(stack.resolve(line), {}));

  it('are the JSON of a task definition', () => {
    assert.deepEqual(parsed(lines.volume), {
      name: 'media',
      efsVolumeConfiguration: {
        fileSystemId: 'fs-00000001',
        transitEncryption: 'ENABLED',
        authorizationConfig: { accessPointId: 'fsap-00000001', iam: 'ENABLED' },
      },
    });
    assert.deepEqual(parsed(lines.mountPoint), {
      sourceVolume: 'media',
      containerPath: '/usr/local/wamedia',
      readOnly: false,
    });
  });

  it('are the policy of a role', () => {
    const [statement] = parsed(lines.rolePolicy).Statement;
    assert.deepEqual(statement.Action, [
      'elasticfilesystem:ClientMount',
      'elasticfilesystem:ClientWrite',
      'elasticfilesystem:ClientRootAccess',
    ]);
    assert.match(statement.Resource, /:file-system\/fs-00000001$/);
    assert.match(
      statement.Condition.StringEquals['elasticfilesystem:AccessPointArn'],
      /:access-point\/fsap-00000001$/,
    );
  });

  it("are a line of a host's fstab", () => {
    assert.equal(lines.fstab, 'fs-00000001 /mnt/wa/media efs _netdev,tls,iam,accesspoint=fsap-00000001 0 0');
  });
});
