import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { CloudWatchLogsClient, GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import {
  ConflictException,
  type ContainerDefinition,
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  RunTaskCommand,
  type RunTaskCommandInput,
  StopTaskCommand,
} from '@aws-sdk/client-ecs';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Container } from '../../../../rehearsal/aws/containers/container.ts';
import type { ManagedService } from '../../../../rehearsal/aws/ecs/service.ts';
import { ACCOUNT, type Deployment, deploy, MINUTE, REGION } from '../deploy.ts';

const ROLE = `arn:aws:iam::${ACCOUNT}:role/web`;
const DEFINITION = `arn:aws:ecs:${REGION}:${ACCOUNT}:task-definition/web:1`;

const folder = mkdtempSync(join(tmpdir(), 'run-task-'));
const containers: Container[] = [];
let stage: Deployment;
let web: ManagedService;
let end = () => {};
let ended: Promise<void>;

before(async () => {
  await new Promise<void>((ready, failed) => {
    ended = deploy(
      (stack) => new Topic(stack, 'Alarms'),
      (deployment) => {
        stage = deployment;
        const start = async () => {
          const container = await Container.start({
            name: 'app',
            folder: join(folder, `${containers.length}`),
          });
          containers.push(container);
          return [container];
        };
        web = deployment.aws.ecs.manageService({
          account: ACCOUNT,
          region: REGION,
          cluster: 'shop',
          service: 'web',
          desiredCount: 0,
          start,
          definition: {
            taskRoleArn: ROLE,
            container: {
              logConfiguration: {
                logDriver: 'awslogs',
                options: { 'awslogs-group': '/ecs/web', 'awslogs-stream-prefix': 'web' },
              },
            },
          },
        });
        ready();
        return new Promise((resolve) => {
          end = resolve;
        });
      },
    );
    ended.catch(failed);
  });
});
after(async () => {
  end();
  await ended;
  await Promise.all(containers.map((container) => container.remove()));
  rmSync(folder, { recursive: true, force: true });
});

function run(command: string[], more: Partial<RunTaskCommandInput> = {}): RunTaskCommand {
  return new RunTaskCommand({
    cluster: 'shop',
    taskDefinition: 'web',
    overrides: { containerOverrides: [{ name: 'app', command }] },
    ...more,
  });
}

async function toItsEnd(ecs: ECSClient, command: RunTaskCommand) {
  const { tasks: [begun] = [] } = await ecs.send(command);
  await stage.clock.runUntil(stage.clock.now() + MINUTE);
  // On a busy machine the clock may not have waited for the process.
  await containers.at(-1)?.stopped;
  const task = begun?.taskArn ?? '';
  const { tasks: [last] = [] } = await ecs.send(new DescribeTasksCommand({ cluster: 'shop', tasks: [task] }));
  return { begun, last, task };
}

test('a task runs its command as a process, ends with it, and leaves its exit code and its output', async () => {
  const ecs = new ECSClient(stage.client());
  const { begun, last, task } = await toItsEnd(
    ecs,
    run(['sh', '-c', 'for i in 1 2 3 4; do echo "line $i"; done; echo last >&2; exit 7']),
  );
  assert.equal(begun?.lastStatus, 'PENDING');
  assert.deepEqual(
    [last?.lastStatus, last?.stopCode, last?.containers?.[0]?.exitCode, last?.group],
    ['STOPPED', 'EssentialContainerExited', 7, 'family:web'],
  );
  const logs = new CloudWatchLogsClient(stage.client());
  const stream = { logGroupName: '/ecs/web', logStreamName: `web/app/${task.split('/').pop()}`, limit: 2 };
  const messages = async (startFromHead: boolean) =>
    (await logs.send(new GetLogEventsCommand({ ...stream, startFromHead }))).events?.map(
      ({ message }) => message,
    );
  assert.deepEqual(await messages(true), ['line 1', 'line 2']);
  assert.equal((await messages(false))?.length, 2);
  await assert.rejects(
    logs.send(new GetLogEventsCommand({ ...stream, logStreamName: 'web/app/none' })),
    /stream does not exist/,
  );
});

test('a client token starts one task however often it comes, and is refused with another request', async () => {
  const ecs = new ECSClient(stage.client());
  const command = { clientToken: 'a'.repeat(64), startedBy: 'shop/migrate' };
  const { tasks: [first] = [] } = await ecs.send(run(['sleep', '60'], command));
  const { tasks: [second] = [] } = await ecs.send(run(['sleep', '60'], command));
  assert.equal(first?.taskArn, second?.taskArn);
  await assert.rejects(ecs.send(run(['true'], command)), (error) => {
    assert.ok(error instanceof ConflictException);
    assert.deepEqual(error.resourceIds, [first?.taskArn]);
    return true;
  });
  const mine = await ecs.send(new ListTasksCommand({ cluster: 'shop', startedBy: 'shop/migrate' }));
  assert.deepEqual(mine.taskArns, [first?.taskArn]);
  const ofService = await ecs.send(new ListTasksCommand({ cluster: 'shop', serviceName: 'web' }));
  assert.deepEqual(ofService.taskArns, []);
  await ecs.send(new StopTaskCommand({ cluster: 'shop', task: first?.taskArn, reason: 'enough' }));
  await stage.clock.runUntil(stage.clock.now() + MINUTE);
  const { tasks: [last] = [] } = await ecs.send(
    new DescribeTasksCommand({ cluster: 'shop', tasks: [first?.taskArn ?? ''] }),
  );
  assert.deepEqual(
    [last?.lastStatus, last?.stopCode, last?.stoppedReason],
    ['STOPPED', 'UserInitiated', 'enough'],
  );
});

test('StopTask has the command get TERM, and KILL where it goes on after its stopTimeout; the first process of a container gets no TERM that it does not handle', async () => {
  const ecs = new ECSClient(stage.client());
  const { definition = {} } = web.options;
  const tasks: string[] = [];
  const begin = async (script: string, container: Partial<ContainerDefinition> = {}) => {
    web.options.definition = { ...definition, container: { ...definition.container, ...container } };
    const { tasks: [begun] = [] } = await ecs.send(run(['sh', '-c', script]));
    web.options.definition = definition;
    tasks.push(begun?.taskArn ?? '');
  };
  await begin('trap "exit 0" TERM; while :; do sleep 0.1; done');
  await begin('trap "" TERM; while :; do sleep 1; done', { stopTimeout: 120 });
  await begin('while :; do sleep 1; done');
  await begin('while :; do sleep 1; done', { linuxParameters: { initProcessEnabled: true } });
  await stage.clock.runUntil(stage.clock.now() + 20_000);
  const asked = stage.clock.now();
  for (const task of tasks) await ecs.send(new StopTaskCommand({ cluster: 'shop', task }));
  await stage.clock.runUntil(asked + 3 * MINUTE);
  const { tasks: last = [] } = await ecs.send(new DescribeTasksCommand({ cluster: 'shop', tasks }));
  assert.deepEqual(
    last.map(({ lastStatus, stopCode, containers: [container] = [], stoppedAt }) => {
      const seconds = Math.round(((stoppedAt?.getTime() ?? 0) - asked) / 1000);
      return [lastStatus, stopCode, container?.exitCode, seconds < 20 ? 'soon' : seconds];
    }),
    [
      ['STOPPED', 'UserInitiated', 0, 'soon'],
      ['STOPPED', 'UserInitiated', 137, 124],
      ['STOPPED', 'UserInitiated', 137, 34],
      ['STOPPED', 'UserInitiated', 143, 'soon'],
    ],
  );
});

test('whoever starts a task must be allowed to hand its roles on to ECS, to tag it where he does, and may stop those with a tag', async () => {
  const allow = (Action: string, Resource: string, Condition?: Record<string, Record<string, string>>) => ({
    Effect: 'Allow' as const,
    Action,
    Resource,
    ...(Condition && { Condition }),
  });
  const start = allow('ecs:RunTask', DEFINITION.replace(/:1$/, ':*'));
  const handOn = (service: string) =>
    allow('iam:PassRole', ROLE, { StringEquals: { 'iam:PassedToService': service } });
  const tag = allow('ecs:TagResource', '*', { StringEquals: { 'ecs:CreateAction': 'RunTask' } });
  const as = (...allowed: ReturnType<typeof allow>[]) => new ECSClient(stage.client(allowed));
  const tagged = run(['true'], { tags: [{ key: 'upkeep:job', value: 'shop/migrate' }] });
  await assert.rejects(as(start).send(run(['true'])), /iam:PassRole on resource: .*role\/web/);
  await assert.rejects(as(start, handOn('ec2.amazonaws.com')).send(run(['true'])), /iam:PassRole/);
  const passing = handOn('ecs-tasks.amazonaws.com');
  await as(start, passing).send(run(['true']));
  await assert.rejects(as(start, passing).send(tagged), /ecs:TagResource/);
  const { tasks: [task] = [] } = await as(start, passing, tag).send(tagged);
  const stopOf = (value: string) =>
    as(allow('ecs:StopTask', '*', { StringEquals: { 'aws:ResourceTag/upkeep:job': value } })).send(
      new StopTaskCommand({ cluster: 'shop', task: task?.taskArn }),
    );
  await assert.rejects(stopOf('shop/other'), /ecs:StopTask/);
  const { task: stopped } = await stopOf('shop/migrate');
  assert.equal(stopped?.stopCode, 'UserInitiated');
});

test('what ECS would not take is refused', async () => {
  const ecs = new ECSClient(stage.client());
  await assert.rejects(ecs.send(run(['x'.repeat(8_200)])), /at most 8192/);
  await assert.rejects(ecs.send(run(['true'], { startedBy: 'a b' })), /startedBy/);
  await assert.rejects(ecs.send(run(['true'], { taskDefinition: 'none' })), /not found/);
});
