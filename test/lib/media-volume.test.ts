import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type App, CfnResource, Size, Stack, Validations } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { type ISubnet, SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import {
  Cluster,
  Compatibility,
  ContainerImage,
  ExternalTaskDefinition,
  FargateService,
  FargateTaskDefinition,
  type ICluster,
  TaskDefinition,
} from 'aws-cdk-lib/aws-ecs';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { AwsSolutionsChecks } from 'cdk-nag';
import { MediaVolume, type MediaVolumeProps, type MountOptions } from '../../lib/media-volume.ts';
import { MediaVolumeAlarms } from '../../lib/media-volume-alarms.ts';
import { MediaVolumeMigration } from '../../lib/media-volume-migration.ts';
import { MediaVolumeStack } from '../../lib/whatsapp/media-volume-stack.ts';
import { type Access, denial, type PolicyDocument } from '../../rehearsal/aws/policy.ts';
import { appWithoutBundles, ofType, type Resource, resourcesOf, textOf } from './template.ts';

const ACCOUNT = '111111111111';
const ENV = { account: ACCOUNT, region: 'eu-west-1' };
const WEBAPP_ROLE = `arn:aws:iam::${ACCOUNT}:role/latam-webapp`;

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

describe('who may mount a media volume', () => {
  const { mount } = mounting();
  const everything: PolicyDocument = {
    Version: '2012-10-17',
    Statement: { Effect: 'Allow', Action: '*', Resource: '*' },
  };

  it('is a named role that its own policy lets, by TLS and the access point', () => {
    for (const action of ['ClientMount', 'ClientWrite', 'ClientRootAccess'])
      assert.equal(mount({ action }), undefined);
  });

  it('is no role that is not named, whatever its own policy allows', () => {
    for (const policies of [[everything], [everything, ...mounting().policies], []])
      assert.match(
        mount({ role: 'somebody', policies }) ?? '',
        policies.length > 0 ? /explicit deny in a resource-based policy/ : /explicit deny/,
      );
  });

  it('is no role of the same name in another account or path', () => {
    for (const identityArn of [
      'arn:aws:iam::222222222222:role/latam-webapp',
      `arn:aws:iam::${ACCOUNT}:role/other/latam-webapp`,
      `arn:aws:iam::${ACCOUNT}:role/latam-webapp2`,
      `arn:aws:iam::${ACCOUNT}:user/latam-webapp`,
      `arn:aws:iam::${ACCOUNT}:root`,
    ])
      assert.match(mount({ identityArn, policies: [everything] }) ?? '', /explicit deny/, identityArn);
  });

  it('is nobody without TLS', () => {
    for (const policies of [undefined, [everything]])
      assert.match(
        mount({ conditions: { 'aws:securetransport': 'false' }, ...(policies && { policies }) }) ?? '',
        /explicit deny/,
      );
  });

  it('is nobody without the access point', () => {
    for (const policies of [undefined, [everything]])
      assert.match(
        mount({
          conditions: { 'elasticfilesystem:AccessPointArn': undefined },
          ...(policies && { policies }),
        }) ?? '',
        /explicit deny/,
      );
  });

  it('is nobody who shows no identity, as a host that mounts by plain NFS', () => {
    assert.match(
      mount({ conditions: { 'aws:principalarn': undefined }, policies: [] }) ?? '',
      /explicit deny/,
    );
  });

  it('is no named role by another access point than the one that its own policy names', () => {
    assert.match(
      mount({
        conditions: {
          'elasticfilesystem:AccessPointArn': `arn:aws:elasticfilesystem:eu-west-1:${ACCOUNT}:access-point/other`,
        },
      }) ?? '',
      /no identity-based policy allows/,
    );
  });

  it('is a role made anew under its name, for the policy holds its ARN as text', () => {
    const { fileSystemPolicy } = mounting();
    const names = JSON.stringify(fileSystemPolicy);
    assert.match(names, /role\/latam-webapp"/);
    assert.ok([fileSystemPolicy.Statement].flat().every(({ Effect }) => Effect === 'Deny'));
  });

  it('is not everybody by a statement of the construct library', () => {
    const { stack, volume } = volumeStack();
    // Which adds such a statement once anything was granted.
    volume.fileSystem.grantReadWrite(
      new Role(stack, 'Reader', { assumedBy: new ServicePrincipal('ecs.amazonaws.com') }),
    );
    for (const [, { Properties }] of ofType(resourcesOf(stack), 'AWS::EFS::FileSystem'))
      for (const { Effect } of Properties.FileSystemPolicy.Statement) assert.equal(Effect, 'Deny');
  });
});

describe('mounting a media volume', () => {
  it('adds volume, mount point, TLS, access point and the rights of the task role', () => {
    const { stack, volume } = volumeStack();
    const taskDefinition = taskOf(stack);
    volume.mountOn(taskDefinition, { container: 'wa-web' });
    volume.mountOn(taskDefinition, { container: 'wa-coreapp', path: '/media' });
    const template = Template.fromStack(stack);
    template.hasResourceProperties('AWS::ECS::TaskDefinition', {
      Volumes: [
        {
          Name: 'media',
          EFSVolumeConfiguration: {
            FilesystemId: { Ref: Match.stringLikeRegexp('FileSystem') },
            TransitEncryption: 'ENABLED',
            AuthorizationConfig: {
              AccessPointId: { Ref: Match.stringLikeRegexp('AccessPoint') },
              IAM: 'ENABLED',
            },
          },
        },
      ],
      ContainerDefinitions: Match.arrayWith([
        Match.objectLike({
          MountPoints: [{ ContainerPath: '/usr/local/wamedia', ReadOnly: false, SourceVolume: 'media' }],
        }),
        Match.objectLike({
          MountPoints: [{ ContainerPath: '/media', ReadOnly: false, SourceVolume: 'media' }],
        }),
      ]),
    });
    template.resourceCountIs('AWS::IAM::Policy', 1);
  });

  it('lets the task definition wait for the mount targets', () => {
    const { stack, volume } = volumeStack();
    volume.mountOn(taskOf(stack), { container: 'wa-web' });
    const [task] = Object.values(Template.fromStack(stack).findResources('AWS::ECS::TaskDefinition'));
    assert.equal(task?.DependsOn.filter((id: string) => id.includes('MountTarget')).length, 2);
  });

  it('names the task role of the same stack in the policy by itself', () => {
    const { stack, volume } = volumeStack(() => ({ roleArns: [] }));
    volume.mountOn(taskOf(stack), { container: 'wa-web' });
    const resources = resourcesOf(stack);
    const { Properties } = only(resources, 'AWS::EFS::FileSystem');
    assert.match(
      textOf(Properties.FileSystemPolicy.Statement[2].Condition.ArnNotEquals['aws:PrincipalArn'], resources),
      /TaskRole/,
    );
  });

  it('works over stacks, with a named role, without a circle', () => {
    const { app, stack, volume } = volumeStack();
    const tasks = new Stack(app, 'Tasks', { env: ENV });
    const taskRole = new Role(tasks, 'Role', {
      roleName: 'coreapp',
      path: '/latam/',
      assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com'),
    });
    const taskDefinition = taskOf(tasks, { taskRole });
    volume.mountOn(taskDefinition, { container: 'wa-coreapp' });
    const vpc = Vpc.fromVpcAttributes(tasks, 'Vpc', {
      vpcId: 'vpc-00000001',
      availabilityZones: ['eu-west-1a'],
      privateSubnetIds: ['subnet-0000000a'],
    });
    const service = new FargateService(tasks, 'Service', {
      // Only under exactOptionalPropertyTypes are the CDK's own types at odds here.
      cluster: new Cluster(tasks, 'Cluster', { vpc }) as ICluster,
      taskDefinition,
    });
    volume.allowFrom(service);
    app.synth();
    assert.deepEqual(tasks.dependencies, [stack]);
    assert.deepEqual(stack.dependencies, []);
    Template.fromStack(tasks).hasResourceProperties('AWS::EC2::SecurityGroupIngress', { FromPort: 2049 });
    const resources = resourcesOf(stack);
    const { Properties } = only(resources, 'AWS::EFS::FileSystem');
    assert.equal(
      textOf(Properties.FileSystemPolicy.Statement[2].Condition.ArnNotEquals['aws:PrincipalArn'], resources),
      `${WEBAPP_ROLE}, arn:aws:iam::${ACCOUNT}:role/latam/coreapp`,
    );
  });

  it('refuses a role of another stack that has no name', () => {
    const { app, volume } = volumeStack();
    const tasks = new Stack(app, 'Tasks', { env: ENV });
    assert.throws(
      () => volume.mountOn(taskOf(tasks), { container: 'wa-web' }),
      /Tasks\/Task\/TaskRole: the volume's stack must name this role.*Give the role a name/,
    );
  });

  for (const { what, options, says } of [
    { what: 'a Master', options: { container: 'wa-master' }, says: /container wa-master: it is a Master/ },
    {
      what: 'another application',
      options: { container: 'exporter' },
      says: /of the image example\.com\/exporter:1, and only WebApp and CoreApp use media.*anyContainer/,
    },
    {
      what: 'a container that is not there',
      options: { container: 'web' },
      says: /there is no container web/,
    },
    {
      what: 'a relative path',
      options: { container: 'wa-web', path: 'media' },
      says: /"media" must be absolute/,
    },
  ] satisfies { what: string; options: MountOptions; says: RegExp }[])
    it(`refuses ${what}`, () => {
      const { stack, volume } = volumeStack();
      assert.throws(() => volume.mountOn(taskOf(stack), options), { message: says });
    });

  it('mounts on any container if told, and read-only if told, with no more rights than that takes', () => {
    const { stack, volume } = volumeStack(() => ({ access: { owner: { uid: 1000, gid: 1000 } } }));
    volume.mountOn(taskOf(stack), { container: 'exporter', anyContainer: true, readOnly: true });
    Template.fromStack(stack).hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: { Statement: [Match.objectLike({ Action: 'elasticfilesystem:ClientMount' })] },
    });
  });

  it('adds the right to write when a second container needs it', () => {
    const { stack, volume } = volumeStack(() => ({ access: { owner: { uid: 1000, gid: 1000 } } }));
    const taskDefinition = taskOf(stack);
    volume.mountOn(taskDefinition, { container: 'wa-web', readOnly: true });
    volume.mountOn(taskDefinition, { container: 'wa-coreapp' });
    volume.mountOn(taskDefinition, { container: 'exporter', anyContainer: true });
    const policy = JSON.stringify(only(resourcesOf(stack), 'AWS::IAM::Policy'));
    assert.equal(policy.match(/ClientWrite/g)?.length, 1);
  });

  it('refuses a second mount at one path', () => {
    const { stack, volume } = volumeStack();
    const taskDefinition = taskOf(stack);
    volume.mountOn(taskDefinition, { container: 'wa-web' });
    assert.throws(
      () => volume.mountOn(taskDefinition, { container: 'wa-web' }),
      /something is mounted at \/usr\/local\/wamedia already/,
    );
  });

  it('refuses tasks on external instances, where EFS cannot be mounted', () => {
    const { stack, volume } = volumeStack();
    const taskDefinition = new ExternalTaskDefinition(stack, 'External');
    addContainers(taskDefinition);
    assert.throws(() => volume.mountOn(taskDefinition, { container: 'wa-web' }), /external instances/);
  });

  it('mounts on tasks of EC2', () => {
    const { stack, volume } = volumeStack();
    const taskDefinition = new TaskDefinition(stack, 'Ec2', { compatibility: Compatibility.EC2 });
    addContainers(taskDefinition);
    volume.mountOn(taskDefinition, { container: 'wa-web' });
    Template.fromStack(stack).hasResourceProperties('AWS::ECS::TaskDefinition', {
      Volumes: [Match.objectLike({ Name: 'media' })],
    });
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

describe('the alarms of a media volume', () => {
  const { stack, volume } = volumeStack();
  new MediaVolumeAlarms(stack, 'Alarms', { volume, topic: topicOf(stack), maximumSize: Size.gibibytes(500) });
  const template = Template.fromStack(stack);

  it('ring near the limits of throughput and operations', () => {
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmName: 'latam-media-throughput',
      Threshold: 80,
      EvaluationPeriods: 3,
      Metrics: Match.arrayWith([Match.objectLike({ Expression: '100 * (metered / 300) / permitted' })]),
    });
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmName: 'latam-media-operations',
      MetricName: 'PercentIOLimit',
    });
  });

  it('ring above a configured size, of all storage classes', () => {
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmName: 'latam-media-size',
      MetricName: 'StorageBytes',
      Dimensions: Match.arrayWith([{ Name: 'StorageClass', Value: 'Total' }]),
      Threshold: 500 * 1024 ** 3,
      TreatMissingData: 'ignore',
    });
  });

  it('ring for an old backup, and do not turn quiet on a day without a figure', () => {
    template.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmName: 'latam-media-backup',
      Namespace: 'Upkeep',
      MetricName: 'LastBackupAgeHours',
      Dimensions: [
        { Name: 'deployment', Value: 'latam' },
        { Name: 'job', Value: 'database-size' },
      ],
      Threshold: 48,
      TreatMissingData: 'ignore',
    });
  });

  it('say nothing of burst credits where there are none, nor of what was not asked for', () => {
    const few = volumeStack();
    new MediaVolumeAlarms(few.stack, 'Alarms', {
      volume: few.volume,
      topic: topicOf(few.stack),
      maximumBackupAge: false,
    });
    assert.deepEqual(
      ofType(resourcesOf(few.stack), 'AWS::CloudWatch::Alarm').map(
        ([, { Properties }]) => Properties.AlarmName,
      ),
      ['latam-media-throughput', 'latam-media-operations'],
    );
  });
});

describe('the stack of a media volume', () => {
  const stack = () => mediaVolumeStack().stack;

  it('cannot be deleted by mistake', () => {
    assert.equal(stack().terminationProtection, true);
  });

  it('prints what to add to what it does not deploy', () => {
    assert.deepEqual(Object.keys(Template.fromStack(stack()).toJSON().Outputs), [
      'MediaVolumeFileSystemId',
      'MediaVolumeAccessPointId',
      'MediaVolumeTaskDefinitionVolume',
      'MediaVolumeContainerMountPoint',
      'MediaVolumeTaskRolePolicy',
      'MediaVolumeFstabLine',
    ]);
  });

  it('keeps its key with its volume', () => {
    Template.fromStack(stack()).hasResource('AWS::KMS::Key', {
      DeletionPolicy: 'Retain',
      Properties: { EnableKeyRotation: true },
    });
  });

  it('passes the rules of CloudFormation and of cdk-nag, with its alarms and migration', () => {
    const { app, stack: media } = mediaVolumeStack();
    const other = new Stack(app, 'Other', { env: ENV });
    new MediaVolumeAlarms(other, 'Alarms', { volume: media.volume, topic: topicOf(other), bursting: true });
    migrationOf(other, media.volume);
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    app.synth();
  });
});

describe('the migration of a media volume', () => {
  it('copies owners, modes and times, and compares both sides, when it is started', () => {
    const { app, stack: media } = mediaVolumeStack();
    const other = new Stack(app, 'Other', { env: ENV });
    migrationOf(other, media.volume);
    const template = Template.fromStack(other);
    template.hasResourceProperties('AWS::DataSync::Task', {
      Schedule: Match.absent(),
      TaskMode: 'BASIC',
      Options: Match.objectLike({
        VerifyMode: 'POINT_IN_TIME_CONSISTENT',
        Uid: 'INT_VALUE',
        Gid: 'INT_VALUE',
        Mtime: 'PRESERVE',
        PosixPermissions: 'PRESERVE',
        PreserveDeletedFiles: 'PRESERVE',
      }),
    });
    template.hasResourceProperties('AWS::DataSync::LocationEFS', {
      InTransitEncryption: 'TLS1_2',
      AccessPointArn: Match.anyValue(),
      FileSystemAccessRoleArn: Match.anyValue(),
      Subdirectory: '/',
    });
    template.hasResourceProperties('AWS::DataSync::LocationEFS', { Subdirectory: '/media' });
    template.resourceCountIs('AWS::EFS::AccessPoint', 0);
    Template.fromStack(media).hasResourceProperties('AWS::EFS::FileSystem', {
      FileSystemPolicy: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Sid: 'OtherRoles',
            Condition: {
              ArnNotEquals: {
                'aws:PrincipalArn': Match.arrayWith([
                  { 'Fn::Join': ['', Match.arrayWith([`:iam::${ACCOUNT}:role/latam-media-migration`])] },
                ]),
              },
            },
          }),
        ]),
      },
    });
  });

  it('goes by an access point that keeps owners, where that of the volume does not', () => {
    const { app, stack: media } = mediaVolumeStack({ access: { owner: { uid: 1000, gid: 1000 } } });
    const other = new Stack(app, 'Other', { env: ENV });
    migrationOf(other, media.volume);
    Template.fromStack(other).hasResourceProperties('AWS::EFS::AccessPoint', {
      PosixUser: Match.absent(),
      RootDirectory: { Path: '/media' },
    });
  });
});

function only(resources: Record<string, Resource>, type: string): Resource {
  const [[, resource] = []] = ofType(resources, type);
  if (!resource) throw new Error(`There is no ${type}.`);
  return resource;
}

/** Fails where CloudFormation would, for example in a circle of resources. */
function validatedApp(): App {
  const app = appWithoutBundles();
  app.node.setContext('@aws-cdk/core:validateAgainstDefaultRules', true);
  // With it the construct library adds an allow for everybody to a file system's policy, as apps made today have it.
  app.node.setContext('@aws-cdk/aws-efs:denyAnonymousAccess', true);
  return app;
}

function subnet(scope: Stack, id: string, zone: string): ISubnet {
  return Subnet.fromSubnetAttributes(scope, `subnet-${id}`, {
    subnetId: `subnet-${id}`,
    availabilityZone: `eu-west-1${zone}`,
  });
}

function subnetsOf(scope: Stack, zones: string[]): ISubnet[] {
  return zones.map((zone) => subnet(scope, `0000000${zone}`, zone));
}

function volumeStack(change: (scope: Stack) => Partial<MediaVolumeProps> = () => ({})) {
  const app = validatedApp();
  const stack = new Stack(app, 'Media', { env: ENV });
  const changed = change(stack);
  const volume = new MediaVolume(stack, 'Volume', {
    deployment: 'latam',
    vpc: Vpc.fromVpcAttributes(stack, 'Vpc', {
      vpcId: 'vpc-00000001',
      availabilityZones: ['eu-west-1a', 'eu-west-1b'],
    }),
    roleArns: [WEBAPP_ROLE],
    ...changed,
    subnets: changed.subnets ?? subnetsOf(stack, ['a', 'b']),
  });
  return { app, stack, volume };
}

function mediaVolumeStack(change: Partial<MediaVolumeProps> = {}) {
  const app = validatedApp();
  const stack = new MediaVolumeStack(app, 'Media', {
    env: ENV,
    deployment: 'latam',
    roleArns: [WEBAPP_ROLE],
    network: {
      vpcId: 'vpc-00000001',
      subnets: [
        { id: 'subnet-0000000a', availabilityZone: 'eu-west-1a' },
        { id: 'subnet-0000000b', availabilityZone: 'eu-west-1b' },
      ],
      clientSecurityGroupIds: ['sg-00000001'],
    },
    encryption: 'customer-managed',
    replication: { region: 'eu-central-1' },
    ...change,
  });
  return { app, stack };
}

function migrationOf(stack: Stack, destination: MediaVolume): MediaVolumeMigration {
  const attributes = { subnetId: 'subnet-0000000a', availabilityZone: 'eu-west-1a' };
  const where = Subnet.fromSubnetAttributes(stack, 'Subnet', attributes);
  Validations.of(where).acknowledge({
    id: 'Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId',
    reason: 'Nothing here needs the route table.',
  });
  return new MediaVolumeMigration(stack, 'Migration', {
    destination,
    vpc: Vpc.fromVpcAttributes(stack, 'Vpc', {
      vpcId: 'vpc-00000001',
      availabilityZones: ['eu-west-1a'],
    }),
    subnet: where,
    source: {
      fileSystemId: 'fs-0000000f',
      securityGroup: SecurityGroup.fromSecurityGroupId(stack, 'OldMountTargets', 'sg-00000002'),
    },
  });
}

function existing(change: { accessPointId?: string } = {}) {
  const stack = new Stack(validatedApp(), 'Existing', { env: ENV });
  const volume = MediaVolume.fromFileSystem(stack, 'Volume', {
    deployment: 'latam',
    fileSystemId: 'fs-00000001',
    securityGroupId: 'sg-00000001',
    ...change,
  });
  return { stack, volume };
}

function topicOf(stack: Stack) {
  return Topic.fromTopicArn(stack, 'Topic', `arn:aws:sns:eu-west-1:${ACCOUNT}:pager`);
}

function taskOf(stack: Stack, props: { taskRole?: Role } = {}): FargateTaskDefinition {
  const taskDefinition = new FargateTaskDefinition(stack, 'Task', props);
  addContainers(taskDefinition);
  return taskDefinition;
}

function addContainers(taskDefinition: TaskDefinition): void {
  const add = (containerName: string, image: string, environment = {}) =>
    taskDefinition.addContainer(containerName, {
      image: ContainerImage.fromRegistry(image),
      memoryLimitMiB: 128,
      environment,
    });
  add('wa-web', 'docker.whatsapp.biz/web:v2.57.2');
  add('wa-coreapp', 'docker.whatsapp.biz/coreapp:v2.57.2', { WA_MASTER_NODE: '0' });
  add('wa-master', 'docker.whatsapp.biz/coreapp:v2.57.2', { WA_MASTER_NODE: '1' });
  add('exporter', 'example.com/exporter:1');
}

/** The volume of a task definition as its policies leave it: who asks, and whether they are refused. */
function mounting() {
  const { stack, volume } = volumeStack();
  volume.mountOn(taskOf(stack), { container: 'wa-web' });
  const resources = resourcesOf(stack);
  const read = (type: string, property: string): PolicyDocument[] =>
    ofType(resources, type).map(([, { Properties }]) => texts(Properties[property], resources));
  const policies = read('AWS::IAM::Policy', 'PolicyDocument');
  const [fileSystemPolicy = { Statement: [] }] = read('AWS::EFS::FileSystem', 'FileSystemPolicy');
  const [accessPointArn] = Object.values(
    [policies[0]?.Statement].flat()[0]?.Condition?.StringEquals ?? {},
  ) as string[];
  const mount = (asked: {
    action?: string;
    role?: string;
    identityArn?: string;
    policies?: PolicyDocument[];
    conditions?: Access['conditions'];
  }): string | undefined => {
    const role = asked.role ?? 'latam-webapp';
    const identityArn = asked.identityArn ?? `arn:aws:iam::${ACCOUNT}:role/${role}`;
    return denial({
      principal: {
        kind: 'identity',
        arn: `arn:aws:sts::${ACCOUNT}:assumed-role/${role}/task`,
        identityArn,
        account: identityArn.split(':')[4] ?? '',
        policies: asked.policies ?? policies,
      },
      action: `elasticfilesystem:${asked.action ?? 'ClientMount'}`,
      resource: [[policies[0]?.Statement].flat()[0]?.Resource].flat()[0] ?? '',
      account: ACCOUNT,
      resourcePolicies: [fileSystemPolicy],
      conditions: {
        'elasticfilesystem:AccessPointArn': accessPointArn,
        ...asked.conditions,
      },
    });
  };
  return { mount, policies, fileSystemPolicy };
}

/** A policy of a template with every intrinsic function as text. */
function texts(document: unknown, resources: ReturnType<typeof resourcesOf>): PolicyDocument {
  const walk = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map(walk);
    const [key = ''] = Object.keys(value);
    if (key === 'Ref' || key.startsWith('Fn::')) return textOf(value, resources);
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, walk(item)]));
  };
  return walk(document) as PolicyDocument;
}
