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
import { executeCommand } from '../../../../functions/shared/ecs-exec/execute-command.ts';
import { ecsExecClients } from '../../../../functions/shared/ecs-exec/session.ts';
import { Container } from '../../../../rehearsal/aws/containers/container.ts';
import type { EcsTask } from '../../../../rehearsal/aws/ecs/ecs.ts';
import { ACCOUNT, type Deployment, deploy, REGION } from '../deploy.ts';

interface Work extends Deployment {
  ecs: ECSClient;
  task: EcsTask;
  container: Container;
}

async function withTask(work: (tools: Work) => Promise<void>): Promise<void> {
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
      { sessions: { timing: { readingDelay: 50 } } },
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
    const taken = await burst(150);
    assert.ok(taken >= 100 && taken < 150, `${taken}`);
    clock.advance(2_000);
    const refilled = await burst(100);
    assert.ok(refilled >= 40 && refilled < 100, `${refilled}`);
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
