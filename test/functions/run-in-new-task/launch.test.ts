import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  DescribeServicesCommand,
  type ECSClient,
  type Service,
  type TaskDefinition,
} from '@aws-sdk/client-ecs';
import { readLaunch } from '../../../functions/run-in-new-task/launch.ts';

const SETTINGS = {
  deployment: 'shop',
  clusterArn: 'arn:aws:ecs:eu-central-1:123456789012:cluster/shop',
  role: 'app',
  service: 'orders',
  container: 'app',
  family: 'orders',
  command: ['migrate'],
  timeoutSeconds: 60,
  retryFailed: false,
};

const SPOT = [
  { capacityProvider: 'FARGATE_SPOT', weight: 3, base: 0 },
  { capacityProvider: 'FARGATE', weight: 1, base: 1 },
];
const NETWORK = { awsvpcConfiguration: { subnets: ['subnet-1'], securityGroups: ['sg-1'] } };

/** How a task is launched where ECS tells this of the service and its task definition. */
function launchOf(service: Partial<Service>, definition: Partial<TaskDefinition> = {}) {
  const send = async (command: object) =>
    command instanceof DescribeServicesCommand
      ? { services: [{ serviceName: 'orders', status: 'ACTIVE', taskDefinition: 'orders:7', ...service }] }
      : { taskDefinition: { family: 'orders', containerDefinitions: [{ name: 'app' }], ...definition } };
  return readLaunch({ send } as unknown as ECSClient, SETTINGS);
}

describe('a new task is launched as those of its service:', () => {
  it('by its capacity providers, and then by no launch type, which ECS refuses beside them', async () => {
    const { request } = await launchOf({
      capacityProviderStrategy: SPOT,
      launchType: 'FARGATE',
      platformVersion: 'LATEST',
      networkConfiguration: NETWORK,
    });
    assert.deepEqual(request, {
      taskDefinition: 'orders:7',
      capacityProviderStrategy: SPOT,
      platformVersion: 'LATEST',
      networkConfiguration: NETWORK,
    });
  });

  it('by its launch type where it has no providers, on the instances that it is placed on', async () => {
    const placementConstraints = [{ type: 'memberOf' as const, expression: 'attribute:disk == fast' }];
    const placementStrategy = [{ type: 'spread' as const, field: 'attribute:ecs.availability-zone' }];
    const service = { launchType: 'EC2' as const, placementConstraints, placementStrategy };
    const { request } = await launchOf({ ...service, capacityProviderStrategy: [] });
    assert.deepEqual(request, { taskDefinition: 'orders:7', ...service });
  });

  it('by its primary task set where an external controller deploys it', async () => {
    const { request } = await launchOf({
      deploymentController: { type: 'EXTERNAL' },
      launchType: 'EC2',
      taskSets: [
        { status: 'ACTIVE', taskDefinition: 'orders:6', launchType: 'EC2' },
        { status: 'PRIMARY', taskDefinition: 'orders:8', capacityProviderStrategy: SPOT },
      ],
    });
    assert.deepEqual(request, { taskDefinition: 'orders:8', capacityProviderStrategy: SPOT });
  });

  it('with its essential containers known, and its log where it has a name that can be told', async () => {
    const options = {
      'awslogs-group': '/ecs/orders',
      'awslogs-stream-prefix': 'orders',
      'awslogs-region': 'eu-west-1',
    };
    const { essential, log } = await launchOf(
      {},
      {
        containerDefinitions: [
          { name: 'app', logConfiguration: { logDriver: 'awslogs', options } },
          { name: 'proxy', essential: true },
          { name: 'metrics', essential: false },
        ],
      },
    );
    assert.deepEqual(essential, ['app', 'proxy']);
    assert.deepEqual(log, { group: '/ecs/orders', streamPrefix: 'orders', region: 'eu-west-1' });
  });

  it('or not at all, where it would be another one than the job is for', async () => {
    await assert.rejects(
      launchOf({}, { family: 'orders-green' }),
      /of the family orders-green, while this job may start tasks of orders only/,
    );
    await assert.rejects(
      launchOf({}, { containerDefinitions: [{ name: 'web' }] }),
      /has no container app, but web/,
    );
    await assert.rejects(
      launchOf({}, { volumes: [{ name: 'scratch', configuredAtLaunch: true }] }),
      /has the volume scratch, of which the service says .* run the command with in: 'one-container'/,
    );
    await assert.rejects(launchOf({ status: 'DRAINING' }), /has no active service orders/);
  });
});
