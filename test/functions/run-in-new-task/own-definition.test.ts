import assert from 'node:assert/strict';
import { it } from 'node:test';
import {
  DescribeTaskDefinitionCommand,
  type ECSClient,
  type RegisterTaskDefinitionCommandInput,
  type TaskDefinition,
} from '@aws-sdk/client-ecs';
import { definitionWith } from '../../../functions/run-in-new-task/own-definition.ts';

const VALUE_FROM =
  'arn:aws:secretsmanager:eu-central-1:123456789012:secret:orders/migrator-a1B2c3:password::';

/** The service's, as ECS describes it. */
const SERVICE: TaskDefinition = {
  family: 'orders',
  revision: 7,
  status: 'ACTIVE',
  compatibilities: ['FARGATE'],
  registeredBy: 'somebody',
  taskRoleArn: 'arn:aws:iam::123456789012:role/task',
  executionRoleArn: 'arn:aws:iam::123456789012:role/execution',
  networkMode: 'awsvpc',
  cpu: '256',
  memory: '512',
  volumes: [],
  containerDefinitions: [
    {
      name: 'app',
      image: 'orders:7',
      environment: [
        { name: 'PASSWORD', value: 'of the service' },
        { name: 'REGION', value: 'here' },
      ],
      secrets: [{ name: 'TOKEN', valueFrom: '/orders/token' }],
    },
    { name: 'proxy', image: 'proxy:2', environment: [{ name: 'PASSWORD', value: 'of the proxy' }] },
  ],
};

/** ECS with the service's definition, and what is registered. */
function ecsWith(service: { now: TaskDefinition }) {
  const registered: RegisterTaskDefinitionCommandInput[] = [];
  const send = async (command: { input: RegisterTaskDefinitionCommandInput }) => {
    if (!(command instanceof DescribeTaskDefinitionCommand)) registered.push(command.input);
    else if (command.input.taskDefinition === 'orders:7') return { taskDefinition: service.now };
    const last = registered.at(-1);
    if (last === undefined) throw new Error('Unable to describe task definition.');
    const { tags, ...definition } = last;
    return {
      taskDefinition: {
        ...definition,
        taskDefinitionArn: `orders-migrate:${registered.length}`,
        revision: registered.length,
        status: 'ACTIVE',
      },
    };
  };
  return { registered, ecs: { send } as unknown as ECSClient };
}

it('a task definition with secrets is that of the service with these, made anew only where one of both has changed', async () => {
  const service = { now: SERVICE };
  const { registered, ecs } = ecsWith(service);
  const definition = (secrets: Record<string, string>) =>
    definitionWith(ecs, 'orders:7', { family: 'orders-migrate', container: 'app', secrets });
  for (const _ of [1, 2])
    assert.equal(await definition({ PASSWORD: VALUE_FROM, TOKEN: '/other' }), 'orders-migrate:1');
  assert.equal(registered.length, 1);
  const { family, revision, status, compatibilities, registeredBy, ...copied } = SERVICE;
  const [app, proxy] = copied.containerDefinitions ?? [];
  assert.deepEqual(registered[0], {
    ...copied,
    family: 'orders-migrate',
    containerDefinitions: [
      {
        ...app,
        // ECS refuses a name that a container has twice.
        environment: [{ name: 'REGION', value: 'here' }],
        secrets: [
          { name: 'PASSWORD', valueFrom: VALUE_FROM },
          { name: 'TOKEN', valueFrom: '/other' },
        ],
      },
      proxy,
    ],
  });
  service.now = { ...SERVICE, memory: '1024' };
  assert.equal(await definition({ PASSWORD: VALUE_FROM, TOKEN: '/other' }), 'orders-migrate:2');
  assert.equal(await definition({ PASSWORD: VALUE_FROM }), 'orders-migrate:3');
});

it('what ECS refuses is no family without a revision', async () => {
  const send = async ({ input }: { input: { taskDefinition?: string } }) => {
    if (input.taskDefinition === 'orders:7') return { taskDefinition: SERVICE };
    throw new Error('Rate exceeded');
  };
  await assert.rejects(
    definitionWith({ send } as unknown as ECSClient, 'orders:7', {
      family: 'orders-migrate',
      container: 'app',
      secrets: { PASSWORD: VALUE_FROM },
    }),
    /Rate exceeded/,
  );
});
