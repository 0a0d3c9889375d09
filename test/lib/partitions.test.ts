import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { EventBus } from 'aws-cdk-lib/aws-events';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import {
  CallbackRelay,
  ContainerCommandJob,
  CredentialRotation,
  MediaVolume,
  MediaVolumeAlarms,
  OverviewDashboard,
  Upkeep,
  UpkeepDashboard,
} from '../../lib/index.ts';
import { brokenLinks } from './links.ts';
import { networkIn } from './network.ts';
import { appWithoutBundles, resourcesOf } from './template.ts';

const ACCOUNT = '111111111111';

/** Each general construct, with all that makes it name something of AWS. */
function everything(partition: string, region: string): Stack {
  const stack = new Stack(appWithoutBundles(), 'Shop', { env: { account: ACCOUNT, region } });
  const encryptionKey = new Key(stack, 'Key');
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Asia/Shanghai',
    window: { from: '01:00', to: '05:00' },
    emails: ['oncall@example.com'],
    encryptionKey,
    additionalDurableRegions: [region],
  });
  const command = { upkeep, cluster: 'shop', command: ['/srv/prune'], schedule: { at: '01:30' } };
  const roles = { web: { services: ['web'], container: 'app' } };
  const secretAt = (name: string) =>
    Secret.fromSecretAttributes(stack, name, {
      secretCompleteArn: `arn:${partition}:secretsmanager:${region}:${ACCOUNT}:secret:${name}-a1B2c3`,
      encryptionKey,
    });
  const inEvery = new ContainerCommandJob(stack, 'InEvery', {
    ...{ ...command, roles, job: 'in-every' },
    secrets: { TOKEN: { secret: secretAt('token') } },
    reach: {
      by: 'ecs-exec',
      encryptionKeyArn: `arn:${partition}:kms:${region}:${ACCOUNT}:key/0a1b2c3d-4e5f-6789-abcd-0123456789ab`,
    },
  });
  const instanceTag = { key: 'cluster', value: 'shop' };
  new ContainerCommandJob(stack, 'OnHosts', {
    ...{ ...command, roles, job: 'on-hosts' },
    reach: { by: 'run-command', instanceTag },
  });
  new ContainerCommandJob(stack, 'NewTask', {
    ...{ ...command, roles, job: 'new-task', in: 'new-task' },
    taskDefinition: {
      family: 'web',
      roleArns: [`arn:${partition}:iam::${ACCOUNT}:role/web`],
      logGroup: '/ecs/web',
    },
  });
  const network = networkIn(stack);
  const rotation = new CredentialRotation(stack, 'Rotation', {
    upkeep,
    secret: secretAt('database'),
    administrator: secretAt('administrator'),
    // Its roots come along for few regions, and are told to be missing otherwise.
    database: {
      engine: 'mysql',
      host: 'database.internal',
      port: 3306,
      certificateAuthority: '-----BEGIN CERTIFICATE-----',
    },
    strategy: { kind: 'dual-password' },
    cluster: 'shop',
    services: [{ name: 'web' }],
    copies: [{ kind: 'parameter', name: '/shop/password', template: '{password}' }],
    network,
    schedule: { at: '01:30' },
    timeLimit: Duration.hours(2),
    waitsFor: ['in-every'],
  });
  const { vpc, subnets = [] } = network;
  const volume = new MediaVolume(stack, 'Volume', {
    ...{ deployment: 'shop', vpc, subnets },
    roleArns: [`arn:${partition}:iam::${ACCOUNT}:role/web`],
  });
  new MediaVolumeAlarms(stack, 'VolumeAlarms', { volume, topic: upkeep.topic });
  new CallbackRelay(stack, 'Relay', {
    deployment: 'shop',
    bus: new EventBus(stack, 'Bus'),
    topic: upkeep.topic,
    webhookUrl: 'https://shop.example.com/webhook',
    secretPathHashes: ['a'.repeat(64)],
  });
  new UpkeepDashboard(stack, 'Dashboard', { upkeep, parts: [inEvery, rotation] });
  new OverviewDashboard(stack, 'Overview', { deployments: [{ upkeep }] });
  return stack;
}

for (const [partition, region, console] of [
  ['aws-cn', 'cn-north-1', 'console.amazonaws.cn'],
  ['aws-us-gov', 'us-gov-west-1', 'console.amazonaws-us-gov.com'],
] as const)
  test(`each construct names what is of AWS as ${partition} does, in policies, schedules and dashboards`, () => {
    const stack = everything(partition, region);
    const resources = resourcesOf(stack);
    const text = JSON.stringify(resources);
    const partitions = [...text.matchAll(/arn:([^:"]*):/g)].map(([, name]) => name);
    // Some are parts of a join around AWS::Partition, and have none here.
    assert.deepEqual(
      [...new Set(partitions)].filter((name) => name !== partition),
      [],
    );
    // Its caller waits for it.
    const isRelay = (link: string) => link === 'function shop-callback-relay has no dead-letter queue';
    assert.deepEqual(
      brokenLinks(resources).filter((link) => !isRelay(link)),
      [],
    );
    const outputs = JSON.stringify(Template.fromStack(stack).findOutputs('*'));
    assert.ok(outputs.includes(`https://${region}.${console}/cloudwatch/`), outputs);
    assert.doesNotMatch(text + outputs, /console\.aws\.amazon\.com/);
  });
