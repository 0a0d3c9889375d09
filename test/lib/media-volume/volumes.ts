import { type App, Stack, Validations } from 'aws-cdk-lib';
import { type ISubnet, SecurityGroup, Subnet, Vpc } from 'aws-cdk-lib/aws-ec2';
import { ContainerImage, FargateTaskDefinition, type TaskDefinition } from 'aws-cdk-lib/aws-ecs';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { MediaVolume, type MediaVolumeProps } from '../../../lib/media-volume/media-volume.ts';
import { MediaVolumeMigration } from '../../../lib/media-volume/media-volume-migration.ts';
import { MediaVolumeStack } from '../../../lib/whatsapp/media-volume-stack.ts';
import { appWithoutBundles, ofType, type Resource } from '../template.ts';

export const ACCOUNT = '111111111111';
export const ENV = { account: ACCOUNT, region: 'eu-west-1' };
export const WEBAPP_ROLE = `arn:aws:iam::${ACCOUNT}:role/latam-webapp`;

export function only(resources: Record<string, Resource>, type: string): Resource {
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

export function subnet(scope: Stack, id: string, zone: string): ISubnet {
  return Subnet.fromSubnetAttributes(scope, `subnet-${id}`, {
    subnetId: `subnet-${id}`,
    availabilityZone: `eu-west-1${zone}`,
  });
}

export function subnetsOf(scope: Stack, zones: string[]): ISubnet[] {
  return zones.map((zone) => subnet(scope, `0000000${zone}`, zone));
}

export function volumeStack(change: (scope: Stack) => Partial<MediaVolumeProps> = () => ({})) {
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

export function mediaVolumeStack(change: Partial<MediaVolumeProps> = {}) {
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

export function migrationOf(stack: Stack, destination: MediaVolume): MediaVolumeMigration {
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

export function existing(change: { accessPointId?: string } = {}) {
  const stack = new Stack(validatedApp(), 'Existing', { env: ENV });
  const volume = MediaVolume.fromFileSystem(stack, 'Volume', {
    deployment: 'latam',
    fileSystemId: 'fs-00000001',
    securityGroupId: 'sg-00000001',
    ...change,
  });
  return { stack, volume };
}

export function topicOf(stack: Stack) {
  return Topic.fromTopicArn(stack, 'Topic', `arn:aws:sns:eu-west-1:${ACCOUNT}:pager`);
}

export function taskOf(stack: Stack, props: { taskRole?: IRole } = {}): FargateTaskDefinition {
  const taskDefinition = new FargateTaskDefinition(stack, 'Task', props);
  addContainers(taskDefinition);
  return taskDefinition;
}

export function addContainers(taskDefinition: TaskDefinition): void {
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
