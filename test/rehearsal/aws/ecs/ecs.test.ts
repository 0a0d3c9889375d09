import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  ClusterNotFoundException,
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  ExecuteCommandCommand,
  ListTasksCommand,
  ServiceNotFoundException,
  TargetNotConnectedException,
} from '@aws-sdk/client-ecs';
import { ResumeSessionCommand, SSMClient, TerminateSessionCommand } from '@aws-sdk/client-ssm';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { WebSocket } from 'ws';
import { AccessDeniedError } from '../../../../functions/shared/ecs-exec/errors.ts';
import { executeCommand } from '../../../../functions/shared/ecs-exec/execute-command.ts';
import { ecsExecClients } from '../../../../functions/shared/ecs-exec/session.ts';
import { isPresigned, openingHeaders } from '../../../../functions/shared/ecs-exec/signing.ts';
import { Container } from '../../../../rehearsal/aws/containers/container.ts';
import type { EcsTask } from '../../../../rehearsal/aws/ecs/task.ts';
import type { SessionManagerOptions } from '../../../../rehearsal/aws/session-manager/options.ts';
import { ACCOUNT, type Deployment, deploy, REGION } from '../deploy.ts';

interface Work extends Deployment {
  ecs: ECSClient;
  task: EcsTask;
  container: Container;
}

async function withTask(
  work: (tools: Work) => Promise<void>,
  sessions: SessionManagerOptions = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ecs-'));
  const container = await Container.start({ name: 'web', folder: join(folder, 'web') });
  try {
    await deploy(
      (stack) => new Topic(stack, 'Alarms'),
      async (deployment) => {
        const ecs = new ECSClient(deployment.client());
        const task = deployment.aws.ecs.addTask({
          account: ACCOUNT,
          region: REGION,
          cluster: 'shop',
          service: 'web',
          containers: [container],
        });
        await work({ ...deployment, ecs, task, container });
        ecs.destroy();
      },
      { sessions: { timing: { readingDelay: 50 }, ...sessions } },
    );
  } finally {
    await container.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

function execute(task: string, command = 'sleep 60') {
  return new ExecuteCommandCommand({ cluster: 'shop', task, container: 'web', command, interactive: true });
}

test('knows its clusters, services and tasks, and nothing of other accounts', () =>
  withTask(async ({ ecs, aws, task }) => {
    const { taskArns } = await ecs.send(new ListTasksCommand({ cluster: 'shop', serviceName: 'web' }));
    assert.deepEqual(taskArns, [task.arn]);
    const { services, failures } = await ecs.send(
      new DescribeServicesCommand({ cluster: 'shop', services: ['web', 'none'] }),
    );
    assert.deepEqual([services?.[0]?.runningCount, failures?.[0]?.reason], [1, 'MISSING']);
    await assert.rejects(ecs.send(new ListTasksCommand({ cluster: 'other' })), ClusterNotFoundException);
    await assert.rejects(
      ecs.send(new ListTasksCommand({ cluster: 'shop', serviceName: 'none' })),
      ServiceNotFoundException,
    );
    const elsewhere = aws.credentialsFor({
      arn: 'arn:aws:iam::999999999999:user/tester',
      policy: { Statement: { Effect: 'Allow', Action: '*', Resource: '*' } },
    });
    await assert.rejects(
      new ECSClient({ endpoint: aws.endpoint, region: REGION, credentials: elsewhere }).send(
        new ListTasksCommand({ cluster: 'shop' }),
      ),
      ClusterNotFoundException,
    );
  }));

test('throttles at the published rates: a hundred calls at once, then as many as the bucket fills up', () =>
  withTask(async ({ ecs, clock, task }) => {
    const describe = () => ecs.send(new DescribeTasksCommand({ cluster: 'shop', tasks: [task.id] }));
    const burst = async (calls: number) => {
      const results = await Promise.allSettled(Array.from({ length: calls }, describe));
      return results.filter(({ status }) => status === 'fulfilled').length;
    };
    const begun = clock.now();
    const taken = await burst(150);
    clock.advance(2_000);
    const refilled = await burst(100);
    assert.ok(taken >= 100 && refilled >= 40, `${taken}, ${refilled}`);
    // Time goes on while the calls are made.
    const seconds = (clock.now() - begun) / 1000;
    assert.ok(taken + refilled <= 100 + 20 * seconds, `${taken} and ${refilled} in ${seconds} s`);
  }));

test('a command through ECS Exec runs in the container, with its exit code told', () =>
  withTask(async ({ client, task }) => {
    const { endpoint, region, credentials } = client();
    const result = await executeCommand({
      clients: ecsExecClients({ endpoint, region, credentials }),
      cluster: 'shop',
      task: task.id,
      container: 'web',
      runId: 'one',
      command: { script: 'echo here; exit 7' },
    });
    assert.deepEqual([result.outcome, result.output.head], ['exited', 'here\n']);
    assert.equal(result.outcome === 'exited' && result.exitCode, 7);
  }));

for (const [what, sessions, opening] of [
  ['signed by the caller', {}, 'signed'],
  ['by the signature that the URL bears', { presignedFor: 60 }, 'presigned'],
] as const)
  test(`a data channel is opened ${what}`, () =>
    withTask(async ({ aws, client, task }) => {
      const { endpoint, region, credentials } = client();
      const clients = ecsExecClients({ endpoint, region, credentials });
      const result = await executeCommand({ ...hello(task.id), clients });
      assert.deepEqual([result.outcome, result.output.head], ['exited', 'here\n']);
      assert.deepEqual(
        aws.sessions.openings.map((each) => [each.opening, each.refused]),
        [[opening, undefined]],
      );
      const asked = aws.calls.filter(({ action }) => action === 'ssmmessages:OpenDataChannel');
      const sessionArn = new RegExp(`^arn:aws:ssm:${REGION}:${ACCOUNT}:session/ecs-execute-command-`);
      assert.equal(asked.length, opening === 'signed' ? 1 : 0);
      for (const { resource } of asked) assert.match(resource, sessionArn);
    }, sessions));

test('a data channel is opened again, signed again, after the websocket has broken', () =>
  withTask(async ({ aws, client, task }) => {
    let cut = false;
    aws.sessions.faults.link = ({ messageType }) => {
      if (cut || messageType !== 'acknowledge') return 'pass';
      cut = true;
      return 'cut';
    };
    const { endpoint, region, credentials } = client();
    const clients = ecsExecClients({ endpoint, region, credentials });
    const { outcome } = await executeCommand({ ...hello(task.id), clients });
    assert.equal(outcome, 'exited');
    const [sessionId] = aws.sessions.openings.map((each) => each.sessionId);
    const signed = { sessionId, opening: 'signed', refused: undefined };
    assert.deepEqual(aws.sessions.openings, [signed, signed]);
  }));

test('a caller without the permission for data channels is told which it lacks, and nothing has run', () =>
  withTask(async ({ aws, client, task, container }) => {
    const { endpoint, region, credentials } = client({
      Effect: 'Allow',
      Action: ['ecs:ExecuteCommand', 'ecs:DescribeTasks', 'ssm:TerminateSession'],
      Resource: '*',
    });
    const failing = executeCommand({
      ...hello(task.id),
      command: ['touch', '/tmp/has-run'],
      clients: ecsExecClients({ endpoint, region, credentials }),
    });
    await assert.rejects(
      failing,
      (error) =>
        error instanceof AccessDeniedError && /needs ssmmessages:OpenDataChannel/.test(error.message),
    );
    assert.equal(aws.sessions.openSessions(container), 0);
  }));

test('a data channel whose opening is not signed, or by a wrong key, or too late, is refused', () =>
  withTask(
    async ({ aws, ecs, task, client }) => {
      const { session } = await ecs.send(execute(task.arn));
      const url = session?.streamUrl ?? '';
      assert.ok(isPresigned(url));
      assert.equal(await openingOf(url), 403, 'its time is over');
      const bare = new URL(url);
      for (const name of [...bare.searchParams.keys()].filter((each) => each.startsWith('X-Amz-')))
        bare.searchParams.delete(name);
      assert.equal(await openingOf(bare.href), 403, 'unsigned');
      const { config } = new ECSClient({
        ...client(),
        credentials: { ...client().credentials, secretAccessKey: 'another' },
      });
      assert.equal(
        await openingOf(bare.href, await openingHeaders(bare.href, config)),
        403,
        'by a wrong key',
      );
      assert.equal(await openingOf(bare.href, await openingHeaders(bare.href, ecs.config)), 101);
      assert.deepEqual(
        aws.sessions.openings.map(({ opening }) => opening),
        ['presigned', 'unsigned', 'signed', 'signed'],
      );
    },
    { presignedFor: -1 },
  ));

test('a client that does not sign still comes in while that is allowed', () =>
  withTask(
    async ({ ecs, task }) => {
      const { session } = await ecs.send(execute(task.arn));
      assert.equal(await openingOf(session?.streamUrl ?? ''), 101);
    },
    { unsignedOpenings: 'allowed' },
  ));

function hello(task: string) {
  return { cluster: 'shop', task, container: 'web', runId: 'one', command: { script: 'echo here' } };
}

/** The status that a websocket is answered with. */
async function openingOf(url: string, headers: Record<string, string> = {}): Promise<number> {
  const socket = new WebSocket(url, { headers });
  const status = await new Promise<number>((resolve, reject) => {
    socket.once('open', () => resolve(101));
    socket.once('unexpected-response', (_, { statusCode = 0 }) => resolve(statusCode));
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  socket.terminate();
  return status;
}

test('refuses a command as AWS does: one text for two causes, another for an agent that is not connected', () =>
  withTask(async ({ ecs, task, container }) => {
    const oneText = /not enabled when the task was run or the execute command agent isn't running/;
    container.agentRunning = false;
    await assert.rejects(ecs.send(execute(task.arn)), oneText);
    container.agentRunning = true;
    task.enableExecuteCommand = false;
    await assert.rejects(ecs.send(execute(task.arn)), oneText);
    task.enableExecuteCommand = true;
    task.connected = false;
    await assert.rejects(ecs.send(execute(task.arn)), TargetNotConnectedException);
  }));

test('a third session in a container gets no command, until one of the two is ended', () =>
  withTask(async ({ aws, ecs, client, task, container }) => {
    const { session } = await ecs.send(execute(task.arn));
    await ecs.send(execute(task.arn));
    assert.equal(aws.sessions.openSessions(container), 2);
    await ecs.send(execute(task.arn));
    assert.equal(aws.sessions.openSessions(container), 2);
    const ssm = new SSMClient(client());
    const resumed = await ssm.send(new ResumeSessionCommand({ SessionId: session?.sessionId }));
    assert.ok(resumed.TokenValue && resumed.TokenValue !== session?.tokenValue);
    await ssm.send(new TerminateSessionCommand({ SessionId: session?.sessionId }));
    assert.equal(aws.sessions.openSessions(container), 1);
    ssm.destroy();
  }));

test('a task whose container dies is stopped, with the reason', () =>
  withTask(async ({ ecs, task, container }) => {
    await container.kill();
    const { tasks } = await ecs.send(new DescribeTasksCommand({ cluster: 'shop', tasks: [task.arn] }));
    const [stopped] = tasks ?? [];
    assert.deepEqual(
      [stopped?.lastStatus, stopped?.stoppedReason, stopped?.containers?.[0]?.exitCode],
      ['STOPPED', 'Essential container in task exited', 137],
    );
    const { taskArns } = await ecs.send(new ListTasksCommand({ cluster: 'shop' }));
    assert.deepEqual(taskArns, []);
  }));
