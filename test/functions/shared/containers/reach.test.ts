import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ECSClient } from '@aws-sdk/client-ecs';
import { SSMClient } from '@aws-sdk/client-ssm';
import type { Stack } from 'aws-cdk-lib';
import {
  discoverContainers,
  type FoundContainer,
} from '../../../../functions/shared/containers/discover-containers.ts';
import { EcsExecReach } from '../../../../functions/shared/containers/ecs-exec-reach.ts';
import { orderId, type Reach, type Seen } from '../../../../functions/shared/containers/reach.ts';
import { RunCommandReach } from '../../../../functions/shared/containers/run-command-reach.ts';
import { ecsExecClients } from '../../../../functions/shared/ecs-exec/session.ts';
import { ContainerCommandJob, type ContainerCommandJobProps, Upkeep } from '../../../../lib/index.ts';
import { AwsError } from '../../../../rehearsal/aws/aws-error.ts';
import { Container } from '../../../../rehearsal/aws/containers/container.ts';
import { DockerHost } from '../../../../rehearsal/aws/containers/docker-host.ts';
import type { EcsTask } from '../../../../rehearsal/aws/ecs/task.ts';
import type { ManagedInstance } from '../../../../rehearsal/aws/ssm/run-command.ts';
import { ACCOUNT, type Deployment, REGION, sharedDeployment } from '../../../rehearsal/aws/deploy.ts';

/** Runs for a while, and says how often it was started. With Run Command the document holds it. */
const COMMAND = {
  script: 'echo started >>/tmp/starts; echo "$UPKEEP_MARKER"; sleep "$(cat /tmp/seconds)"; exit 5',
};
const CLUSTER = `arn:aws:ecs:${REGION}:${ACCOUNT}:cluster/shop`;
const INSTANCE = 'i-0123456789abcdef0';

interface Work extends Deployment {
  reach: Reach;
  found: FoundContainer;
  container: Container;
  task: EcsTask;
  instance: ManagedInstance;
  /** How long the command takes. */
  lasting(seconds: number): void;
  starts(): number;
}

/** Of a command that reads what it is given. */
const READER = { script: 'printf "got "; cat' };

/** Each test has a service of its own in it. */
const deployment = sharedDeployment(define, { sessions: { timing: { readingDelay: 50 } } });

/** What Run Command needs: a document for each of the two commands. */
function define(stack: Stack): void {
  const upkeep = new Upkeep(stack, 'Upkeep', {
    deployment: 'shop',
    timeZone: 'Europe/Paris',
    window: { from: '01:00', to: '05:00' },
  });
  const props: Omit<ContainerCommandJobProps, 'job' | 'command'> = {
    upkeep,
    cluster: 'shop',
    roles: { web: { services: ['web'], container: 'app' } },
    schedule: { at: '03:00' },
    reach: { by: 'run-command', instanceTag: { key: 'cluster', value: 'shop' } },
  };
  new ContainerCommandJob(stack, 'Command', { ...props, job: 'command', command: COMMAND });
  new ContainerCommandJob(stack, 'Reader', {
    ...props,
    job: 'reader',
    command: READER,
    stdin: 'in the settings',
  });
}

let services = 0;

async function withContainer(
  by: 'ecs-exec' | 'run-command',
  work: (tools: Work) => Promise<void>,
  documentName = 'shop-command-web',
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'reach-'));
  const container = await Container.start({ name: 'app', folder: join(folder, 'app') });
  const service = `web-${++services}`;
  const { aws, client } = deployment();
  try {
    const host = new DockerHost({ instanceId: INSTANCE, folder: join(folder, 'host') });
    const instance = aws.ssm.manage(host, { account: ACCOUNT, region: REGION });
    const of = { account: ACCOUNT, region: REGION, cluster: 'shop', service };
    const onHost = by === 'run-command' ? { host } : {};
    const task = aws.ecs.addTask({ ...of, containers: [container], ...onHost });
    const { endpoint, region, credentials } = client();
    const ssm = new SSMClient({ endpoint, region, credentials, maxAttempts: 1 });
    const reach =
      by === 'run-command'
        ? new RunCommandReach(ssm)
        : new EcsExecReach(ecsExecClients({ endpoint, region, credentials }), CLUSTER);
    const { containers } = await discoverContainers(new ECSClient(client()), {
      deployment: 'shop',
      clusterArn: CLUSTER,
      roles: [{ name: 'web', services: [service], container: 'app', documentName }],
      reach: by,
      concurrency: 1,
      timeoutSeconds: 60,
      retryFailed: false,
    });
    const [found] = containers;
    assert.ok(found);
    await work({
      ...deployment(),
      reach,
      found,
      container,
      task,
      instance,
      lasting: (seconds) => writeFileSync(container.path('/tmp/seconds'), String(seconds)),
      starts: () => readFileSync(container.path('/tmp/starts'), 'utf8').split('\n').length - 1,
    });
  } finally {
    aws.callInterceptors.clear();
    aws.sessions.faults = {};
    await container.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

const order = { id: 'run', command: COMMAND, marker: 'abc' };

function stay(patience: number, seconds = 60) {
  return { deadline: Date.now() + seconds * 1000, patienceMilliseconds: patience };
}

async function followed(reach: Reach, found: FoundContainer, first: Seen, within: ReturnType<typeof stay>) {
  let seen = first;
  while (seen.outcome === 'running') {
    await new Promise((resolve) => setTimeout(resolve, 300));
    seen = await reach.follow(found, order, seen.handle, within);
  }
  return seen;
}

for (const by of ['ecs-exec', 'run-command'] as const) {
  test(`by ${by}, a command that takes longer than a look is found again, and was started once`, () =>
    withContainer(by, async ({ reach, found, lasting, starts }) => {
      lasting(3);
      const [first, second] = [
        await reach.start(found, order, stay(500)),
        await reach.start(found, order, stay(500)),
      ];
      assert.deepEqual([first.outcome, second.outcome], ['running', 'running']);
      const ended = await followed(reach, found, first, stay(500));
      assert.deepEqual(ended, { outcome: 'exited', exitCode: 5, output: 'abc\n' });
      assert.equal(starts(), 1);
    }));

  test(`by ${by}, a command is killed at its deadline, though nobody was with it`, () =>
    withContainer(by, async ({ reach, found, lasting }) => {
      lasting(60);
      const within = stay(300, 2);
      const first = await reach.start(found, order, within);
      const ended = await followed(reach, found, first, within);
      assert.deepEqual(ended, { outcome: 'timed-out', output: 'abc\n' });
    }));

  test(`by ${by}, throttling says that nothing was started`, () =>
    withContainer(by, async ({ aws, reach, found, lasting }) => {
      lasting(0);
      const stop = aws.onCall(({ operation }) =>
        ['ExecuteCommand', 'SendCommand'].includes(operation)
          ? new AwsError('ThrottlingException', 'Rate exceeded')
          : undefined,
      );
      assert.equal((await reach.start(found, order, stay(500))).outcome, 'not-now');
      stop();
      assert.equal((await reach.start(found, order, stay(20_000))).outcome, 'exited');
    }));

  test(`by ${by}, a container that stops while the command runs is gone`, () =>
    withContainer(by, async ({ reach, found, container, lasting }) => {
      lasting(60);
      setTimeout(() => void container.kill(), 1_500);
      assert.equal((await reach.start(found, order, stay(60_000))).outcome, 'gone');
    }));
}

test('by run-command, a command gets its standard input, which nobody reads in the parameters', () =>
  withContainer(
    'run-command',
    async ({ aws, reach, found }) => {
      const given: string[] = [];
      aws.onCall(({ operation, input }) => {
        if (operation === 'SendCommand') given.push(JSON.stringify(input));
        return undefined;
      });
      const stdin = 'one $HOME "line" {{ and }}\nanother\n';
      const seen = await reach.start(found, { ...order, command: READER, stdin }, stay(20_000));
      assert.deepEqual(seen, { outcome: 'exited', exitCode: 0, output: `got ${stdin}` });
      assert.equal(given.length, 2, 'for the key, and with what is encrypted by it');
      for (const text of given) assert.doesNotMatch(text, /HOME|another/);
    },
    'shop-reader-web',
  ));

test('by ecs-exec, a container whose task has its agent in another one costs one call, and no further try', () =>
  withContainer('ecs-exec', async ({ aws, reach, found, container, task }) => {
    const proxy = await Container.start({ name: 'proxy', folder: `${container.path('/')}-proxy` });
    try {
      task.run([proxy], Date.now());
      task.agentIn = proxy;
      // Its client learns the simulated clock by its first call, too.
      const inProxy = await reach.start(
        { ...found, container: 'proxy' },
        { ...order, command: ['true'] },
        stay(5_000),
      );
      assert.equal(inProxy.outcome, 'exited');
      let calls = 0;
      aws.onCall(({ operation }) => {
        if (operation === 'ExecuteCommand') calls += 1;
        return undefined;
      });
      const seen = await reach.start(found, order, stay(500));
      assert.equal(calls, 1);
      assert.ok(seen.outcome === 'not-started' && seen.isFinal);
      assert.match(seen.detail, /runs in container proxy of the task only.*pidMode "task"/);
      assert.doesNotMatch(seen.detail, /replace the task/);
    } finally {
      await proxy.remove();
    }
  }));

test('by ecs-exec, a container whose places for sessions are taken says so, which a later try may find otherwise', () =>
  withContainer('ecs-exec', async ({ reach, found, container, aws }) => {
    const sessions = [1, 2].map(() => aws.sessions.openSession({ container, command: 'sleep 300' }));
    const seen = await reach.start(found, order, stay(20_000));
    assert.equal(seen.outcome === 'not-started' && seen.isFull, true, JSON.stringify(seen));
    for (const { sessionId } of sessions) aws.sessions.terminateSession(sessionId);
  }));

test('by ecs-exec, a command takes one ExecuteCommand, and removes what the run before it left', () =>
  withContainer('ecs-exec', async ({ aws, reach, found, container, lasting }) => {
    lasting(0);
    let calls = 0;
    aws.onCall(({ operation }) => {
      if (operation === 'ExecuteCommand') calls += 1;
      return undefined;
    });
    const files = () => readdirSync(container.path('/run')).filter((name) => name.endsWith('.lock'));
    // The jobs of two deployments may have one name, and work in one container: whose run has ended may still be looked for.
    const runs = [
      ['shop', 'nightly', '1'],
      ['shop-nightly', 'nightly', '1'],
      ['shop', 'nightly-nightly', '1'],
      ['shop', 'nightly', '2'],
    ] as const;
    for (const [deployment, job, time] of runs)
      await reach.start(
        found,
        { ...order, ...orderId({ deployment, job, runId: `${deployment}-${job}-${time}` }) },
        stay(20_000),
      );
    assert.equal(calls, 4);
    assert.deepEqual(files().sort(), [
      'ecs-exec-shop-nightly.nightly.1.lock',
      'ecs-exec-shop.nightly-nightly.1.lock',
      'ecs-exec-shop.nightly.2.lock',
    ]);
  }));

test('by ecs-exec, a websocket that is cut again and again costs neither output nor exit code', () =>
  withContainer('ecs-exec', async ({ aws, reach, found, lasting, starts }) => {
    lasting(2);
    let cuts = 0;
    aws.sessions.faults.link = ({ to, index }) =>
      to === 'client' && index === 3 && cuts++ < 3 ? 'cut' : 'pass';
    aws.sessions.faults.neverResume = true;
    assert.deepEqual(await reach.start(found, order, stay(30_000)), {
      outcome: 'exited',
      exitCode: 5,
      output: 'abc\n',
    });
    assert.ok(cuts > 0);
    assert.equal(starts(), 1);
  }));

test('by run-command, what an instance cannot do is told apart from what it did and does not say', () =>
  withContainer('run-command', async ({ reach, found, instance, lasting, clock }) => {
    lasting(0);
    const detailOf = (seen: Seen) => ('detail' in seen ? seen.detail : '');
    instance.fault = 'disk-full';
    const full = await reach.start(found, order, stay(5_000));
    assert.equal(full.outcome, 'not-started');
    assert.match(detailOf(full), /A full disk/);

    instance.fault = 'unreachable';
    const silent = await reach.start(found, order, stay(1_000));
    assert.ok(silent.outcome === 'running');
    const late = { ...stay(1_000), deadline: Date.now() - 60 * 60 * 1000 };
    const overdue = await reach.follow(found, order, silent.handle, late);
    assert.match(detailOf(overdue), /though its time is over/);
    await clock.runUntil(clock.now() + 2 * 60 * 60 * 1000);
    const unreachable = await reach.follow(found, order, silent.handle, stay(1_000));
    assert.equal(unreachable.outcome, 'not-started');
    assert.match(detailOf(unreachable), /Undeliverable/);

    instance.fault = 'answers-late';
    assert.equal((await reach.start(found, order, stay(10_000))).outcome, 'exited');

    const unmanaged = { ...found, instanceId: 'i-0000000000000dead' };
    const refused = await reach.start(unmanaged, { ...order, id: 'other' }, stay(1_000));
    assert.match(detailOf(refused), /does not reach the instance i-0000000000000dead/);

    const injected = { ...found, runtimeId: "$(reboot)'; reboot #" };
    assert.match(detailOf(await reach.start(injected, order, stay(1_000))), /is none of Docker's/);
  }));
