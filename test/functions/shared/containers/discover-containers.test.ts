import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ECSClient } from '@aws-sdk/client-ecs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { discoverContainers } from '../../../../functions/shared/containers/discover-containers.ts';
import type { ContainersSettings } from '../../../../functions/shared/containers/settings.ts';
import { Container, type TaskContainer } from '../../../../rehearsal/aws/containers/container.ts';
import { DockerHost } from '../../../../rehearsal/aws/containers/docker-host.ts';
import type { EcsTask } from '../../../../rehearsal/aws/ecs/task.ts';
import { ACCOUNT, type Deployment, deploy, REGION } from '../../../rehearsal/aws/deploy.ts';
import { PlayedContainer } from '../../../rehearsal/played-container.ts';

const CLUSTER = `arn:aws:ecs:${REGION}:${ACCOUNT}:cluster/shop`;

const settings: ContainersSettings = {
  deployment: 'shop',
  clusterArn: CLUSTER,
  roles: [{ name: 'web', services: ['web'], container: 'web' }],
  reach: 'ecs-exec',
  concurrency: 10,
  timeoutSeconds: 60,
  retryFailed: true,
};

interface Work extends Deployment {
  ecs: ECSClient;
  add(service: string, count: number, options?: { host?: DockerHost; name?: string }): Promise<EcsTask[]>;
  folder: string;
}

async function withTasks(work: (tools: Work) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'discover-'));
  const containers: TaskContainer[] = [];
  try {
    await deploy(
      // A stack has to have something.
      (stack) => new Topic(stack, 'Alarms'),
      async (deployment) => {
        const ecs = new ECSClient({ ...deployment.client(), maxAttempts: 10 });
        const add: Work['add'] = async (service, count, { host, name = 'web' } = {}) => {
          const tasks: EcsTask[] = [];
          for (let each = 0; each < count; each++) {
            // Nothing is run in them; on a host of Docker's there has to be a process.
            const container = host
              ? await Container.start({
                  name,
                  folder: join(folder, String(containers.length)),
                  isolation: 'rewritten',
                })
              : new PlayedContainer(name, () => ({ exitCode: 0, output: '' }));
            containers.push(container);
            const of = { account: ACCOUNT, region: REGION, cluster: 'shop', service };
            tasks.push(deployment.aws.ecs.addTask({ ...of, containers: [container], ...(host && { host }) }));
          }
          return tasks;
        };
        await work({ ...deployment, ecs, add, folder });
        ecs.destroy();
      },
    );
  } finally {
    await Promise.all(containers.map((container) => container.kill()));
    rmSync(folder, { recursive: true, force: true });
  }
}

function calls({ aws }: Deployment): number {
  return aws.calls.filter(({ service, action }) => service === 'ecs' && action === 'ecs:ListTasks').length;
}

test('finds every container with two calls for each hundred tasks and service', () =>
  withTasks(async (tools) => {
    await tools.add('web', 205);
    let requests = 0;
    tools.aws.onCall(() => {
      requests += 1;
      return undefined;
    });
    const found = await discoverContainers(tools.ecs, settings);
    assert.equal(new Set(found.containers.map(({ runtimeId }) => runtimeId)).size, 205);
    assert.equal(requests, 6);
    assert.equal(calls(tools), 3);
  }));

test('names tasks that start or stop, services that are not there and containers of another name', () =>
  withTasks(async ({ ecs, add, aws }) => {
    const [running, pending, stopping] = await add('web', 3);
    await add('odd', 1, { name: 'sidecar' });
    aws.ecs.addService({ account: ACCOUNT, region: REGION, cluster: 'shop', service: 'idle' });
    assert.ok(running && pending && stopping);
    pending.lastStatus = 'PENDING';
    // It stops after it was listed, before it is described.
    aws.onCall(({ operation }) => {
      if (operation === 'DescribeTasks') stopping.desiredStatus = 'STOPPED';
      return undefined;
    });
    const found = await discoverContainers(ecs, {
      ...settings,
      roles: [{ name: 'web', services: ['web', 'odd', 'idle', 'absent'], container: 'web' }],
    });
    assert.deepEqual(
      found.containers.map(({ taskArn }) => taskArn),
      [running.arn],
    );
    assert.deepEqual(found.notReady, [
      { service: 'web', taskArn: pending.arn, status: 'PENDING' },
      { service: 'web', taskArn: stopping.arn, status: 'STOPPING' },
    ]);
    assert.deepEqual(
      found.missing.map(({ service, reason }) => [service, reason.replace(/task [0-9a-f]+/, 'task …')]),
      [
        ['odd', 'Its task … has no container web, but sidecar.'],
        ['idle', 'It has no running task.'],
        ['absent', 'There is no such service in the cluster.'],
      ],
    );
  }));

test('waits out throttling', () =>
  withTasks(async ({ ecs, add, aws }) => {
    await add('web', 2);
    await discoverContainers(ecs, settings);
    aws.ecs.buckets.tasks.drain();
    assert.equal((await discoverContainers(ecs, settings)).containers.length, 2);
  }));

test('finds the instance of each container for Run Command', () =>
  withTasks(async ({ ecs, add, folder }) => {
    const hosts = ['i-0000000000000000a', 'i-0000000000000000b'].map(
      (instanceId) => new DockerHost({ instanceId, folder: join(folder, instanceId) }),
    );
    for (const host of hosts) await add('web', 2, { host });
    await add('web', 1);
    const found = await discoverContainers(ecs, { ...settings, reach: 'run-command' });
    assert.deepEqual(
      found.containers.map(({ instanceId }) => instanceId),
      [...hosts.flatMap(({ instanceId }) => [instanceId, instanceId]), undefined],
    );
    for (const { runtimeId } of found.containers.slice(0, 4)) assert.match(runtimeId, /^[0-9a-f]{64}$/);
  }));

test('counts a task once that two pages tell of, for tasks come and go while they are asked for', async () => {
  const task = (id: string) => ({
    taskArn: `arn:aws:ecs:eu-central-1:123456789012:task/shop/${id}`,
    lastStatus: 'RUNNING',
    containers: [{ name: 'web', lastStatus: 'RUNNING', runtimeId: `${id}-1` }],
  });
  const pages = [
    ['a', 'b'],
    ['b', 'c'],
  ];
  const ecs = {
    send: async ({ input }: { input: { tasks?: string[]; nextToken?: string } }) => {
      if (input.tasks) return { tasks: input.tasks.map((arn) => task(arn.replace(/^.*\//, ''))) };
      const page = Number(input.nextToken ?? 0);
      const taskArns = pages[page]?.map((id) => task(id).taskArn);
      return { taskArns, ...(page + 1 < pages.length && { nextToken: String(page + 1) }) };
    },
  } as unknown as ECSClient;
  const { containers } = await discoverContainers(ecs, settings);
  assert.deepEqual(
    containers.map(({ runtimeId }) => runtimeId),
    ['a-1', 'b-1', 'c-1'],
  );
});
