import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ECSClient, ExecuteCommandCommand, ListTasksCommand } from '@aws-sdk/client-ecs';
import { SendCommandCommand, SSMClient } from '@aws-sdk/client-ssm';
import { Duration, type Stack } from 'aws-cdk-lib';
import { orderId } from '../../functions/shared/containers/reach.ts';
import type { RunReport } from '../../functions/shared/run/report.ts';
import { type ContainerReach, type LogArchiveProps, Upkeep } from '../../lib/index.ts';
import { AwsError } from '../../rehearsal/aws/aws-error.ts';
import { Container } from '../../rehearsal/aws/containers/container.ts';
import type { Aws } from '../../rehearsal/aws/server.ts';
import { reportsOf } from '../../rehearsal/run-reports.ts';
import type { ClientRole } from '../../rehearsal/whatsapp/client-files.ts';
import {
  type ClientContainer,
  type ClientTasks,
  type ClientTasksOptions,
  startClientTasks,
} from '../../rehearsal/whatsapp/client-tasks.ts';
import { ACCOUNT, type Deployment, deploy, HOUR, REGION, START } from './aws/deploy.ts';
import { cleanClient, cleanedServices } from './cleaned-client.ts';

const tag = { key: 'deployment', value: 'shop' };
const runCommand: ContainerReach = { by: 'run-command', instanceTag: tag };

interface Played extends Deployment {
  tasks: ClientTasks;
  of(role: ClientRole, number: number): ClientContainer;
  before: { files: number; bytes: number };
  folder: string;
}

/** Plays an afternoon in which the clean-up is due. */
async function play({
  reach = { by: 'ecs-exec' },
  nearlyFullPercent = 1,
  archive,
  timeout = Duration.seconds(4),
  prepare = () => {},
  check,
  ...tasks
}: Partial<ClientTasksOptions> & {
  reach?: ContainerReach;
  nearlyFullPercent?: number;
  archive?: LogArchiveProps;
  timeout?: Duration;
  prepare?: (played: Played) => void | Promise<void>;
  check: (report: RunReport, played: Played) => void | Promise<void>;
}) {
  const folder = mkdtempSync(join(tmpdir(), 'client-'));
  const define = (stack: Stack) => {
    const upkeep = new Upkeep(stack, 'Upkeep', {
      deployment: 'shop',
      timeZone: 'Europe/Paris',
      window: { from: '13:00', to: '17:00' },
    });
    cleanClient(stack, upkeep, {
      schedule: { at: '13:30' },
      timeout,
      nearlyFullPercent,
      reach,
      ...(archive && { archive }),
    });
  };
  try {
    await deploy(
      define,
      async (deployment) => {
        const { aws, clock } = deployment;
        const started = await startClientTasks({
          aws,
          account: ACCOUNT,
          region: REGION,
          cluster: 'client',
          folder,
          roles: cleanedServices({ webapp: 3, coreapp: 4, master: 2 }),
          ...tasks,
        });
        const of = (role: ClientRole, number: number) => {
          const found = started.containers.filter((each) => each.role === role)[number];
          assert.ok(found);
          return found;
        };
        const played = { ...deployment, tasks: started, of, before: started.files(), folder };
        try {
          await prepare(played);
          await clock.runUntil(START + 4 * HOUR);
          const [report] = reportsOf(aws);
          assert.ok(report, 'the run left no report');
          await check(report, played);
        } finally {
          await started.close();
        }
      },
      { sessions: { timing: { readingDelay: 50 } } },
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function outcomes(report: RunReport): Record<string, string> {
  const containers = (report.details?.containers ?? []) as {
    task: string;
    outcome: string;
    exitCode?: number;
    attempts: number;
  }[];
  return Object.fromEntries(
    containers.map(({ task, outcome, exitCode = '', attempts }) => [
      task,
      `${outcome} ${exitCode} ${attempts}`.replace('  ', ' '),
    ]),
  );
}

function problemAt(report: RunReport, { task }: ClientContainer): string {
  return report.problems.find(({ where }) => where.includes(task.id))?.what ?? '';
}

function ringing(aws: Aws): string[] {
  return [...new Set(aws.alarms.filter(({ to }) => to === 'ALARM').map(({ alarm }) => alarm))].sort();
}

function count(aws: Aws, action: string): number {
  return aws.calls.filter((call) => call.action === action).length;
}

test('cleans up in every container, measures it, by one ExecuteCommand each, and the role runs commands in the named containers of its cluster only', () =>
  play({
    roles: cleanedServices({ webapp: 2, coreapp: 2, master: 1 }),
    async check(report, { aws, tasks, before, of, folder }) {
      assert.equal(report.outcome, 'succeeded', JSON.stringify(report.problems));
      const after = tasks.files();
      assert.ok(after.files < before.files);
      const { containersCleaned, bytesFreed, bytesFreedWebapp, lowestFreePercentCoreapp } = report.figures;
      assert.equal(containersCleaned, 5);
      assert.equal(bytesFreed, before.bytes - after.bytes);
      assert.ok(bytesFreedWebapp && bytesFreedWebapp < bytesFreed);
      assert.ok(lowestFreePercentCoreapp && lowestFreePercentCoreapp > 0);
      for (const { container } of tasks.containers)
        assert.deepEqual(
          readdirSync(container.path('/run/x').slice(0, -2)).filter((name) => name.endsWith('.lock')),
          [`ecs-exec-${orderId(report).id}.lock`],
          "the run's own status, until the next run",
        );
      assert.deepEqual(aws.denials, []);
      assert.equal(count(aws, 'ecs:ListTasks'), 3);

      const role = aws.deployed.ofType('AWS::IAM::Role').find(({ name }) => name.includes('LogCleanup'));
      assert.ok(role);
      const sidecar = await Container.start({ name: 'sidecar', folder: join(folder, 'sidecar') });
      const task = aws.ecs.addTask({
        account: ACCOUNT,
        region: REGION,
        cluster: 'client',
        service: 'webapp',
        containers: [sidecar],
      });
      const ecs = new ECSClient({
        endpoint: aws.endpoint,
        region: REGION,
        credentials: aws.access.issue(aws.access.session(role.arn, 'test')),
      });
      const execute = (cluster: string, task: string, container: string) =>
        ecs.send(new ExecuteCommandCommand({ cluster, task, container, command: 'id', interactive: true }));
      try {
        await assert.rejects(execute('client', task.arn, 'sidecar'), /not authorized/);
        await assert.rejects(execute('other', of('webapp', 0).task.id, 'wa-web'), /not authorized/);
        await execute('client', of('webapp', 0).task.arn, 'wa-web');
      } finally {
        await sidecar.remove();
      }
    },
  }));

test('names each container in which something went wrong, cleans up in all others, and tries the failed ones again', () => {
  const hangs = ['webapp 1', 'coreapp 3'];
  return play({
    faultOf: (role, number) => {
      if (hangs.includes(`${role} ${number}`)) return 'script-hangs';
      if (`${role} ${number}` === 'webapp 0') return 'rotation-broken';
      return `${role} ${number}` === 'coreapp 0' ? 'script-fails' : undefined;
    },
    prepare({ aws, of }) {
      of('coreapp', 1).container.agentRunning = false;
      of('coreapp', 2).task.enableExecuteCommand = false;
      of('master', 1).task.lastStatus = 'PENDING';
      const dies = of('coreapp', 3);
      let throttled = 0;
      aws.onCall(({ operation, input }) => {
        if (operation !== 'ExecuteCommand') return undefined;
        if (input.task === dies.task.arn) setTimeout(() => void dies.container.kill(), 1000);
        if (input.task !== of('master', 0).task.arn || throttled++ > 2) return undefined;
        return new AwsError('ThrottlingException', 'Rate exceeded');
      });
    },
    check(report, { of }) {
      const id = (role: ClientRole, number: number) => of(role, number).task.id;
      assert.equal(report.outcome, 'partial');
      assert.deepEqual(outcomes(report), {
        [id('webapp', 0)]: 'exited 0 1',
        [id('webapp', 1)]: 'timed-out 2',
        [id('webapp', 2)]: 'exited 0 1',
        [id('coreapp', 0)]: 'exited 3 2',
        [id('coreapp', 1)]: 'not-started 2',
        // A task that was started without ECS Exec never gets it.
        [id('coreapp', 2)]: 'not-started 1',
        [id('coreapp', 3)]: 'gone 1',
        [id('master', 0)]: 'exited 0 1',
      });
      const { containersCleaned, containersFailed, containersGone, tasksNotReady } = report.figures;
      assert.deepEqual(
        { containersCleaned, containersFailed, containersGone, tasksNotReady },
        { containersCleaned: 3, containersFailed: 4, containersGone: 1, tasksNotReady: 1 },
      );
      assert.match(problemAt(report, of('coreapp', 0)), /exit code 3\. It last said: cannot lock/);
      assert.match(problemAt(report, of('coreapp', 1)), /agent is STOPPED/);
      assert.match(problemAt(report, of('coreapp', 2)), /not enabled/);
      assert.match(problemAt(report, of('master', 1)), /it was PENDING/);
      const rotation = report.problems.filter(({ where }) => where.includes(id('webapp', 0)));
      assert.deepEqual(
        rotation.map(({ what }) => what),
        [
          '/var/log/whatsapp/web.log has 70 MB, though it should be rotated above 20 MB.',
          'The archive has 36 files of access.log, though it should keep 30.',
          'The archive has 36 files of error.log, though it should keep 30.',
          'The archive has 36 files of web.log, though it should keep 30.',
        ],
      );
    },
  });
});

test('by Run Command does the same on container instances, and tells their faults apart; the roles reach no other container, cluster, document or instance', () =>
  play({
    reach: runCommand,
    hosts: { count: 3, tag },
    nearlyFullPercent: 15,
    faultOf: (role, number) => {
      if (role !== 'webapp') return undefined;
      return number === 0 ? 'script-fails' : number === 2 ? 'script-hangs' : undefined;
    },
    prepare({ aws, tasks }) {
      // Says that 100 of 1,000 blocks are left.
      for (const { container } of tasks.containers) {
        const stat = container.path('/usr/local/bin/stat');
        writeFileSync(stat, '#!/bin/sh\necho 4096 1000 100 100 0 0 nearly-full\n');
        chmodSync(stat, 0o755);
      }
      const second = aws.ssm.instances.get(tasks.hosts[1]?.instanceId ?? '');
      assert.ok(second);
      second.fault = 'disk-full';
    },
    async check(report, { aws, tasks, before, of }) {
      assert.deepEqual(aws.denials, []);
      const onFull = tasks.containers.filter(({ task }) => task.host === tasks.hosts[1]);
      for (const each of onFull) {
        assert.equal(outcomes(report)[each.task.id], 'not-started 2');
        assert.match(problemAt(report, each), /A full disk on the instance looks like this/);
      }
      assert.equal(report.figures.containersFailed, onFull.length + 2);
      assert.equal(report.figures.bytesFreed, before.bytes - tasks.files().bytes);
      assert.equal(outcomes(report)[of('webapp', 0).task.id], 'exited 3 2');
      assert.equal(outcomes(report)[of('webapp', 2).task.id], 'timed-out 2');
      assert.deepEqual(ringing(aws), ['shop-log-cleanup-nearly-full', 'shop-log-cleanup-partial']);
      for (const instance of aws.ssm.instances.values()) assert.equal(instance.reboots, 0);

      const role = aws.deployed.ofType('AWS::IAM::Role').find(({ name }) => name.includes('LogCleanup'));
      assert.ok(role);
      const settings = {
        endpoint: aws.endpoint,
        region: REGION,
        credentials: aws.access.issue(aws.access.session(role.arn, 'test')),
      };
      const ssm = new SSMClient(settings);
      const send = (DocumentName: string, InstanceIds: string[]) =>
        ssm.send(new SendCommandCommand({ DocumentName, InstanceIds }));
      const [host] = aws.ssm.instances.keys();
      assert.ok(host);
      await assert.rejects(send('AWS-RunShellScript', [host]), /AccessDenied|not authorized/);
      await assert.rejects(send('shop-log-cleanup-webapp', ['i-00000000000000abc']), /not authorized/);
      await assert.rejects(
        new ECSClient(settings).send(new ListTasksCommand({ cluster: 'other' })),
        /not authorized/,
      );
    },
  }));

test('by Run Command keeps rotated logs in S3, by addresses that nobody reads in its parameters', () => {
  const inputs: string[] = [];
  const parameters: string[] = [];
  return play({
    reach: runCommand,
    hosts: { count: 1, tag },
    roles: cleanedServices({ webapp: 1, coreapp: 1, master: 1 }),
    timeout: Duration.minutes(5),
    archive: { keepFor: Duration.days(30) },
    prepare({ aws }) {
      aws.onCall(({ operation, input }) => {
        if (operation !== 'SendCommand') return undefined;
        parameters.push(JSON.stringify(input));
        inputs.push(...(Object(input.Parameters).input ?? []));
        return undefined;
      });
    },
    check(report, { aws, tasks, before }) {
      assert.equal(report.outcome, 'succeeded', JSON.stringify(report.problems));
      const [bucket] = aws.deployed.ofType('AWS::S3::Bucket');
      assert.ok(bucket);
      // 36 of each log: three of WebApp, two of CoreApp and Master each.
      assert.deepEqual([aws.s3.objects(bucket.name).size, report.figures.logsKept], [252, 252]);
      assert.equal(report.figures.bytesFreed, before.bytes - tasks.files().bytes);
      assert.ok(inputs.some((input) => input.length > 0));
      for (const text of [...parameters, JSON.stringify(report), ...aws.logs.map(({ text }) => text)])
        assert.doesNotMatch(text, /X-Amz-(?!Signature=%s)|rehearsal-session/);
      assert.deepEqual(aws.denials, []);
    },
  });
});
