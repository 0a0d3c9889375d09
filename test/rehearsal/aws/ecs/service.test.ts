import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  DescribeServiceDeploymentsCommand,
  DescribeServicesCommand,
  ECSClient,
  ListServiceDeploymentsCommand,
  ListTasksCommand,
  StopTaskCommand,
  UpdateServiceCommand,
} from '@aws-sdk/client-ecs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { Container } from '../../../../rehearsal/aws/containers/container.ts';
import type { ManagedService, ManagedServiceOptions } from '../../../../rehearsal/aws/ecs/service.ts';
import { ACCOUNT, type Deployment, deploy, MINUTE, REGION, START } from '../deploy.ts';
import { startsIn } from './service-containers.ts';

const PLACE = { cluster: 'shop', service: 'web' };

interface Work extends Deployment {
  ecs: ECSClient;
  service: ManagedService;
  /** Tasks that are wanted and alive. */
  tasks(): Promise<string[]>;
  describe(): Promise<{ id: string; rolloutState: string | undefined }[]>;
}

async function withService(options: Partial<ManagedServiceOptions>, work: (tools: Work) => Promise<void>) {
  const folder = mkdtempSync(join(tmpdir(), 'ecs-service-'));
  const containers: Container[] = [];
  try {
    await deploy(
      (stack) => new Topic(stack, 'Alarms'),
      async (deployment) => {
        const { aws, clock, client } = deployment;
        const service = aws.ecs.manageService({
          ...PLACE,
          account: ACCOUNT,
          region: REGION,
          desiredCount: 3,
          start: startsIn(folder, containers),
          ...options,
        });
        const ecs = new ECSClient(client());
        await clock.runUntil(START + 5 * MINUTE);
        await work({
          ...deployment,
          ecs,
          service,
          tasks: async () => {
            const { cluster, service: serviceName } = PLACE;
            const { taskArns = [] } = await ecs.send(new ListTasksCommand({ cluster, serviceName }));
            return taskArns;
          },
          describe: async () => {
            const { cluster, service: name } = PLACE;
            const { services = [] } = await ecs.send(
              new DescribeServicesCommand({ cluster, services: [name] }),
            );
            return (services[0]?.deployments ?? []).map(({ id = '', rolloutState }) => ({
              id,
              rolloutState,
            }));
          },
        });
        ecs.destroy();
      },
    );
  } finally {
    await Promise.all(containers.map((container) => container.remove()));
    rmSync(folder, { recursive: true, force: true });
  }
}

async function force(ecs: ECSClient): Promise<string> {
  const answer = await ecs.send(new UpdateServiceCommand({ ...PLACE, forceNewDeployment: true }));
  return answer.service?.deployments?.[0]?.id ?? '';
}

for (const { minimumHealthyPercent, maximumPercent, fewest } of [
  { minimumHealthyPercent: 100, maximumPercent: 200, fewest: 3 },
  { minimumHealthyPercent: 66, maximumPercent: 100, fewest: 2 },
  { minimumHealthyPercent: 25, maximumPercent: 100, fewest: 1 },
  { minimumHealthyPercent: 0, maximumPercent: 100, fewest: 0 },
]) {
  test(`a forced deployment at ${minimumHealthyPercent}/${maximumPercent} replaces three tasks and keeps ${fewest}`, () =>
    withService(
      { minimumHealthyPercent, maximumPercent },
      async ({ ecs, service, clock, tasks, describe }) => {
        const before = await tasks();
        assert.equal(before.length, 3);
        const id = await force(ecs);
        assert.equal((await describe())[0]?.rolloutState, 'IN_PROGRESS');
        await clock.runUntil(START + 30 * MINUTE);
        assert.deepEqual(await describe(), [{ id, rolloutState: 'COMPLETED' }]);
        const after = await tasks();
        assert.equal(after.length, 3);
        assert.deepEqual(
          after.filter((task) => before.includes(task)),
          [],
        );
        assert.equal(service.fewestRunning, fewest);
      },
    ));
}

test('percentages that keep and allow just what runs move nothing', () =>
  withService(
    { minimumHealthyPercent: 100, maximumPercent: 100 },
    async ({ ecs, clock, tasks, describe }) => {
      const before = await tasks();
      await force(ecs);
      await clock.runUntil(START + 120 * MINUTE);
      assert.deepEqual(await tasks(), before);
      assert.equal((await describe())[0]?.rolloutState, 'IN_PROGRESS');
    },
  ));

test('a stopped task is replaced whatever the percentages', () =>
  withService(
    { minimumHealthyPercent: 100, maximumPercent: 100 },
    async ({ ecs, service, clock, tasks, describe }) => {
      const [task = '', ...others] = await tasks();
      const steady = service.events.length;
      await ecs.send(new StopTaskCommand({ cluster: PLACE.cluster, task, reason: 'test' }));
      await clock.runUntil(START + 10 * MINUTE);
      const after = await tasks();
      assert.equal(after.length, 3);
      assert.ok(!after.includes(task) && others.every((other) => after.includes(other)));
      assert.match(service.events[0]?.message ?? '', /steady state/);
      assert.ok(service.events.length > steady);
      assert.equal((await describe())[0]?.rolloutState, 'COMPLETED');
    },
  ));

test('a service whose tasks exit never becomes steady; the circuit breaker ends its deployment', async (t) => {
  await t.test('without one', () =>
    withService({}, async ({ ecs, service, clock, describe, tasks }) => {
      const before = await tasks();
      service.fault = 'tasks-exit';
      await force(ecs);
      await clock.runUntil(START + 60 * MINUTE);
      assert.equal((await describe())[0]?.rolloutState, 'IN_PROGRESS');
      const after = await tasks();
      assert.ok(before.every((task) => after.includes(task)));
    }),
  );
  await t.test('with one', () =>
    withService({ circuitBreaker: { rollback: false } }, async ({ ecs, service, clock, describe }) => {
      service.fault = 'tasks-exit';
      const id = await force(ecs);
      await clock.runUntil(START + 60 * MINUTE);
      assert.deepEqual((await describe())[0], { id, rolloutState: 'FAILED' });
    }),
  );
  await t.test('with a rollback, which looks steady', () =>
    withService({ circuitBreaker: { rollback: true } }, async ({ ecs, service, clock, describe }) => {
      service.fault = 'tasks-exit';
      const id = await force(ecs);
      await clock.runUntil(START + 60 * MINUTE);
      const [primary] = await describe();
      assert.equal(primary?.rolloutState, 'COMPLETED');
      assert.notEqual(primary?.id, id);
    }),
  );
});

test('tasks for which there is no room are told in the events', () =>
  withService({}, async ({ ecs, service, clock, tasks }) => {
    service.fault = 'no-room';
    await force(ecs);
    await clock.runUntil(START + 10 * MINUTE);
    assert.match(service.events[0]?.message ?? '', /unable to place a task/);
    assert.ok(service.events.length < 12);
    assert.equal((await tasks()).length, 3);
  }));

test('under blue/green the old tasks live on until the bake time is over', () =>
  withService(
    { strategy: 'BLUE_GREEN', bakeTimeInMinutes: 20 },
    async ({ ecs, client, clock, tasks, describe }) => {
      const before = await tasks();
      await force(ecs);
      const status = async (by = ecs) => {
        const { serviceDeployments = [] } = await by.send(
          new ListServiceDeploymentsCommand({ ...PLACE, createdAt: { after: new Date(START + MINUTE) } }),
        );
        const [{ serviceDeploymentArn = '' } = {}] = serviceDeployments;
        const described = await by.send(
          new DescribeServiceDeploymentsCommand({ serviceDeploymentArns: [serviceDeploymentArn] }),
        );
        return described.serviceDeployments?.[0]?.status;
      };
      await clock.runUntil(START + 15 * MINUTE);
      assert.equal(await status(), 'IN_PROGRESS');
      assert.equal((await describe())[0]?.rolloutState, undefined);
      assert.equal((await tasks()).length, 6);
      await assert.rejects(
        status(
          new ECSClient(
            client([
              { Effect: 'Allow', Action: 'ecs:ListServiceDeployments', Resource: '*' },
              {
                Effect: 'Allow',
                Action: 'ecs:DescribeServiceDeployments',
                Resource: `arn:aws:ecs:${REGION}:${ACCOUNT}:service-deployment/shop/web/*`,
              },
            ]),
          ),
        ),
        /not authorized to perform: ecs:DescribeServiceDeployments on resource: \S+:service\/shop\/web /,
      );
      await clock.runUntil(START + 30 * MINUTE);
      assert.equal(await status(), 'SUCCESSFUL');
      const after = await tasks();
      assert.deepEqual(
        after.filter((task) => before.includes(task)),
        [],
      );
    },
  ));
