import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import {
  Cluster,
  Compatibility,
  ExternalTaskDefinition,
  FargateService,
  type ICluster,
  TaskDefinition,
} from 'aws-cdk-lib/aws-ecs';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { MountOptions } from '../../../lib/media-volume/media-volume-base.ts';
import { resourcesOf, textOf } from '../template.ts';
import { ACCOUNT, addContainers, ENV, only, taskOf, volumeStack, WEBAPP_ROLE } from './volumes.ts';

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
    {
      what: 'the root',
      options: { container: 'wa-web', path: '//' },
      says: /"\/" must be absolute, and not the root/,
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

  for (const path of ['/usr/local/wamedia/', '/usr/local//wamedia', '/usr/local/./wamedia'])
    it(`refuses ${path} beside /usr/local/wamedia, which is the same to a container`, () => {
      const { stack, volume } = volumeStack();
      const taskDefinition = taskOf(stack);
      volume.mountOn(taskDefinition, { container: 'wa-web' });
      assert.throws(
        () => volume.mountOn(taskDefinition, { container: 'wa-web', path }),
        /something is mounted at \/usr\/local\/wamedia already/,
      );
    });

  it('refuses a path beside the same one of another volume that is written with a slash at its end', () => {
    const { stack, volume } = volumeStack();
    const taskDefinition = taskOf(stack);
    taskDefinition.addVolume({ name: 'scratch' });
    taskDefinition
      .findContainer('wa-web')
      ?.addMountPoints({ sourceVolume: 'scratch', containerPath: '/media/', readOnly: false });
    assert.throws(
      () => volume.mountOn(taskDefinition, { container: 'wa-web', path: '/media' }),
      /something is mounted at \/media already/,
    );
  });

  it("refuses a task definition that has another volume of the media volume's name, before or after", () => {
    const { stack, volume } = volumeStack();
    const before = taskOf(stack);
    before.addVolume({ name: 'media' });
    const says =
      /Task: the task definition has another volume with the name "media".*Give that one another name/;
    assert.throws(() => volume.mountOn(before, { container: 'wa-web' }), says);

    const { app, stack: other, volume: itsVolume } = volumeStack();
    const after = taskOf(other);
    itsVolume.mountOn(after, { container: 'wa-web' });
    after.addVolume({ name: 'media' });
    assert.throws(() => app.synth(), says);
  });

  it('refuses an imported role to which no policy can be added, and leaves the task definition as it was', () => {
    const { stack, volume } = volumeStack();
    const taskRole = Role.fromRoleArn(stack, 'Role', WEBAPP_ROLE, { mutable: false });
    const taskDefinition = taskOf(stack, { taskRole });
    assert.throws(
      () => volume.mountOn(taskDefinition, { container: 'wa-web' }),
      /Task: nothing can be added to the policies of its task role arn:aws:iam::111111111111:role\/latam-webapp.*lines\(\)/,
    );
    Template.fromStack(stack).hasResourceProperties('AWS::ECS::TaskDefinition', { Volumes: Match.absent() });
  });

  it('adds the rights to an imported role that takes them', () => {
    const { stack, volume } = volumeStack();
    volume.mountOn(taskOf(stack, { taskRole: Role.fromRoleArn(stack, 'Role', WEBAPP_ROLE) }), {
      container: 'wa-web',
    });
    Template.fromStack(stack).hasResourceProperties('AWS::IAM::Policy', { Roles: ['latam-webapp'] });
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
