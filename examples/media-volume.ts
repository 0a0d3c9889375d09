/**
 * A media volume for a WhatsApp client on Fargate: the volume in a stack of its own, the client's services in another,
 * which mount it by TLS and as their task roles.
 *
 * Synthesize: `node examples/media-volume.ts`. In an app of yours import from 'wa-upkeep'.
 */
import { App, Size, Stack } from 'aws-cdk-lib';
import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import {
  Cluster,
  ContainerImage,
  FargateService,
  FargateTaskDefinition,
  type ICluster,
} from 'aws-cdk-lib/aws-ecs';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { AlarmTopic, MediaVolumeAlarms, MediaVolumeStack } from '../lib/index.ts';

const app = new App();
const env = { account: '111111111111', region: 'eu-west-1' };
const network = {
  vpcId: 'vpc-0a1b2c3d4e5f60001',
  subnets: [
    { id: 'subnet-0a1b2c3d4e5f60001', availabilityZone: 'eu-west-1a' },
    { id: 'subnet-0a1b2c3d4e5f60002', availabilityZone: 'eu-west-1b' },
  ],
};

const media = new MediaVolumeStack(app, 'latam-media', {
  env,
  deployment: 'latam',
  network: { ...network, clientSecurityGroupIds: [] },
  encryption: 'customer-managed',
  replication: { region: 'eu-central-1' },
});

const client = new Stack(app, 'latam-client', { env });
const vpc = Vpc.fromVpcAttributes(client, 'Vpc', {
  vpcId: network.vpcId,
  availabilityZones: network.subnets.map(({ availabilityZone }) => availabilityZone),
  privateSubnetIds: network.subnets.map(({ id }) => id),
});
const cluster = new Cluster(client, 'Cluster', { vpc });
for (const [name, image] of [
  ['webapp', 'docker.whatsapp.biz/web:v2.57.2'],
  ['coreapp', 'docker.whatsapp.biz/coreapp:v2.57.2'],
] as const) {
  const taskDefinition = new FargateTaskDefinition(client, `${name}-task`, {
    cpu: 1024,
    memoryLimitMiB: 2048,
    // Named, for the volume's stack names it.
    taskRole: new Role(client, `${name}-role`, {
      roleName: `latam-${name}`,
      assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com'),
    }),
  });
  const container = taskDefinition.addContainer(name, { image: ContainerImage.fromRegistry(image) });
  media.volume.mountOn(taskDefinition, { container });
  const service = new FargateService(client, `${name}-service`, {
    cluster: cluster as ICluster,
    taskDefinition,
    desiredCount: 2,
    securityGroups: [new SecurityGroup(client, `${name}-security-group`, { vpc })],
  });
  media.volume.allowFrom(service);
}

new MediaVolumeAlarms(client, 'MediaAlarms', {
  volume: media.volume,
  topic: new AlarmTopic(client, 'Alarms', { deployment: 'latam', emails: ['oncall@example.com'] }).topic,
  maximumSize: Size.gibibytes(500),
});
