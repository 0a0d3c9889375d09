import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { spawn as startTerminal } from '@lydell/node-pty';
import { Topic } from 'aws-cdk-lib/aws-sns';
import {
  AgentNotRunningError,
  ContainerGoneError,
  EcsExecError,
} from '../../functions/shared/ecs-exec/errors.ts';
import {
  type ExecEvent,
  ecsExecClients,
  execInAll,
  interactiveSession,
} from '../../functions/shared/ecs-exec/index.ts';
import { Container } from '../../rehearsal/aws/containers/container.ts';
import { ACCOUNT, type Deployment, deploy, REGION } from '../rehearsal/aws/deploy.ts';
import { commandLine, type Ended, inThisProcess } from './command-line.ts';
import { COMPILE_CACHE } from './compile-cache.ts';

/** A service of three tasks, started once for all that runs in them. */
describe('a command in the containers of a service', () => {
  const folder = mkdtempSync(join(tmpdir(), 'exec-'));
  const containers: Container[] = [];
  const tasks: string[] = [];
  let deployment: Deployment;
  let isOver = () => {};
  let closed: Promise<void>;

  before(async () => {
    for (const number of [0, 1, 2])
      containers.push(await Container.start({ name: 'web', folder: join(folder, String(number)) }));
    await new Promise<void>((ready, failed) => {
      closed = deploy(
        (stack) => new Topic(stack, 'Alarms'),
        async (deployed) => {
          deployment = deployed;
          for (const container of containers) {
            const task = deployed.aws.ecs.addTask({
              account: ACCOUNT,
              region: REGION,
              cluster: 'shop',
              service: 'web',
              containers: [container],
            });
            tasks.push(task.id);
          }
          ready();
          await new Promise<void>((resolve) => {
            isOver = resolve;
          });
        },
        { sessions: { timing: { readingDelay: 20 } } },
      );
      closed.catch(failed);
    });
  });
  after(async () => {
    isOver();
    await closed;
    for (const container of containers) await container.remove();
    rmSync(folder, { recursive: true });
  });

  const clients = () => {
    const { endpoint, region, credentials } = deployment.client();
    return ecsExecClients({ endpoint, region, credentials });
  };

  function environment(): Record<string, string> {
    const { endpoint, region, credentials } = deployment.client();
    return {
      ...COMPILE_CACHE,
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      AWS_SESSION_TOKEN: credentials.sessionToken,
    };
  }

  function piped(...words: string[]): Promise<Ended> {
    return pipedWith('', ...words);
  }

  /** Likewise in this process. */
  function cli(...words: string[]): Promise<Ended> {
    return inThisProcess(words, environment());
  }

  function pipedWith(input: string, ...words: string[]): Promise<Ended> {
    return commandLine(words, environment(), { input });
  }

  it('prints what it prints, and exits as it does', async () => {
    const { status, out, err } = await piped('exec', 'shop', 'web', '--', 'sh', '-c', 'echo "a  b"; exit 7');
    assert.deepEqual([status, out], [7, 'a  b\n']);
    assert.match(err, /^[0-9a-f]{32}\/web {2}exit code 7\n$/);
  });

  it('takes options of the command for its own only before --', async () => {
    const { status, out } = await cli('exec', 'shop', 'web', '--', 'printf', '%s\n', '--all', '--json');
    assert.deepEqual([status, out], [0, '--all\n--json\n']);
  });

  it('runs in all of them, with the container before each line and the highest exit code', async () => {
    await containers[1]?.run('touch /tmp/second');
    const script = 'printf "one\\ntwo"; [ ! -e /tmp/second ] || exit 4';
    const { status, out } = await cli('exec', 'shop', 'web', '--all', '--', 'sh', '-c', script);
    assert.equal(status, 4);
    const expected = tasks.flatMap((task) => [`${task}/web  one`, `${task}/web  two`]);
    assert.deepEqual(out.trim().split('\n').sort(), expected.sort());
  });

  it('tells a program what came of it', async () => {
    const { status, out } = await cli('exec', 'shop', 'web', '--all', '--json', '--', 'sh', '-c', 'echo hi');
    assert.equal(status, 0);
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(lines.length, 3);
    for (const { task, ...rest } of lines) {
      assert.ok(tasks.includes(task.split('/').at(-1)));
      assert.deepEqual(rest, { container: 'web', outcome: 'exited', exitCode: 0, output: 'hi\n' });
    }
  });

  it('gives the command our standard input if asked, in all of them alike', async () => {
    const { status, out } = await pipedWith('a\\b\n', 'exec', 'shop', 'web', '--all', '--stdin', '--', 'cat');
    assert.equal(status, 0);
    const expected = tasks.map((task) => `${task}/web  a\\b`);
    assert.deepEqual(out.trim().split('\n').sort(), expected.sort());
  });

  it('is stopped at its timeout, and says what it cannot do', async () => {
    const late = await cli('exec', 'shop', 'web', '--timeout', '1', '--', 'sleep', '60');
    assert.equal(late.status, 124);
    assert.match(late.err, /stopped at its timeout/);
    const nothing = await cli('exec', 'shop', 'none', '--', 'true');
    assert.equal(nothing.status, 125);
    assert.match(nothing.err, /no such service.*none of cluster shop\. \(SERVICE_NOT_FOUND\)/);
    const unclear = await cli('exec', 'shop', 'web', '--concurrency', 'many', '--', 'true');
    assert.match(unclear.err, /must be a whole number/);
    assert.equal(unclear.status, 2);
  });

  it('is iterated over, a failure in one being no end for the others', async () => {
    const [first] = containers;
    assert.ok(first);
    first.agentRunning = false;
    const events: ExecEvent[] = [];
    for await (const event of execInAll({ ...service(), command: ['echo', 'hi'] })) events.push(event);
    first.agentRunning = true;
    const ended = events.filter(({ event }) => event === 'ended');
    assert.equal(ended.length, 2);
    const [failed] = events.filter((event) => event.event === 'failed');
    assert.ok(failed?.error instanceof AgentNotRunningError);
    assert.equal(failed.error.code, 'AGENT_NOT_RUNNING');
  });

  it('says so, with a code, where there is no task that runs, no such service, no such cluster, or it would run nowhere', async () => {
    const place = { account: ACCOUNT, region: REGION, cluster: 'shop', service: 'coming-up' };
    const task = deployment.aws.ecs.addTask({ ...place, containers: [] });
    for (const [where, code, words] of [
      [{ service: 'coming-up' }, 'NO_RUNNING_TASK', /but 1, PENDING/],
      [{ service: 'none' }, 'SERVICE_NOT_FOUND', /service none/],
      [{ cluster: 'none' }, 'CLUSTER_NOT_FOUND', /cluster none/],
      [{ concurrency: 0 }, 'INVALID_COMMAND', /concurrency is 0/],
      [{ concurrency: Number.NaN }, 'INVALID_COMMAND', /concurrency is NaN/],
      [{ limit: 0 }, 'INVALID_COMMAND', /limit is 0/],
    ] as const) {
      const all = async () => {
        for await (const _ of execInAll({ ...service(), ...where, command: ['true'] }));
      };
      await assert.rejects(all(), (error) => {
        assert.ok(error instanceof EcsExecError);
        assert.equal(error.code, code);
        assert.match(error.message, words);
        return true;
      });
    }
    await task.stop('over');
    const { status, err } = await cli('exec', 'shop', 'coming-up', '--all', '--', 'true');
    assert.equal(status, 125);
    assert.match(err, /has no running task in cluster shop, but none at all.*\(NO_RUNNING_TASK\)/);
  });

  it('is stopped everywhere when the iteration is broken off, or by its signal', async () => {
    const running = async () =>
      (await containers[0]?.run('ps -e -o args= | grep -c "[s]leep 300" || true'))?.trim();
    const command = { script: 'echo begun; sleep 300' };
    for await (const event of execInAll({ ...service(), command })) if (event.event === 'output') break;
    assert.equal(await running(), '0');
    const controller = new AbortController();
    const all = async () => {
      for await (const _ of execInAll({ ...service(), command, signal: controller.signal }))
        controller.abort(new Error('enough'));
    };
    await assert.rejects(all(), { message: 'enough' });
    assert.equal(await running(), '0');
  });

  it('never has more going at once than it may', async () => {
    const starts: number[] = [];
    const command = { script: 'sleep 0.2' };
    let going = 0;
    const stop = deployment.aws.onCall(({ operation }) => {
      if (operation === 'ExecuteCommand') starts.push(++going);
      return undefined;
    });
    for await (const { event } of execInAll({ ...service(), command, concurrency: 2 }))
      if (event === 'ended') going -= 1;
    stop();
    assert.equal(Math.max(...starts), 2);
  });

  it('is a terminal for a person if asked, which ends with its input', async () => {
    const input = new PassThrough();
    const output = Object.assign(new PassThrough(), { columns: 77, rows: 11 });
    let shown = '';
    output.on('data', (text) => {
      shown += text;
      if (/\$ $|# $/.test(shown) && !shown.includes('typed'))
        input.end('echo ty""ped $(stty size); touch /tmp/typed\r');
    });
    const [task = ''] = tasks;
    await interactiveSession({ cluster: 'shop', task, container: 'web', clients: clients(), input, output });
    assert.match(shown, /\r\ntyped 11 77\r\n/);
    assert.ok(existsSync(containers[0]?.path('/tmp/typed') ?? ''));
  });

  it('is no terminal for what comes through a pipe', async () => {
    const { status, err } = await cli('exec', 'shop', 'web', '--interactive', '--', 'sh');
    assert.equal(status, 125);
    assert.match(err, /^With --interactive a terminal is needed on standard input\. .*--stdin/);
  });

  it('is a terminal that follows its size, passes Ctrl-C on, and is given back as it was', async () => {
    const line = `"${process.execPath}" bin/wa-upkeep.ts exec shop web --interactive -- sh`;
    const terminal = startTerminal('sh', ['-c', `${line}; echo status $?; stty -a`], {
      cols: 90,
      rows: 30,
      cwd: process.cwd(),
      env: { PATH: process.env.PATH ?? '', ...environment() },
    });
    let shown = '';
    /** Types when something is shown, behind what was shown before. */
    const on = (seen: RegExp, act: () => void) => ({ seen, act });
    const acts = [
      on(/[$#] $/, () => terminal.write('echo size $(stty size)\r')),
      on(/size 30 90\r+\n.*[$#] $/s, () => {
        terminal.resize(101, 41);
        terminal.write('sleep 0.3; echo size $(stty size)\r');
      }),
      on(/size 41 101\r+\n.*[$#] $/s, () => terminal.write('echo wa""its; sleep 300\r')),
      on(/waits\r+\n/, () => terminal.write('\x03')),
      on(/\^C.*[$#] $/s, () => terminal.write('exit 3\r')),
    ];
    const ended = new Promise<number>((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)));
    terminal.onData((text) => {
      shown += text;
      if (!acts[0]?.seen.test(shown)) return;
      shown = '';
      acts.shift()?.act();
    });
    await ended;
    assert.deepEqual(acts, [], shown);
    assert.match(shown, /status 0\r\n/);
    assert.match(shown, /[^-]icanon/);
    assert.match(shown, /[^-]echo /);
  });

  it('as a terminal ends when its container does, and when it is told to', async () => {
    const doomed = await Container.start({ name: 'web', folder: join(folder, 'doomed') });
    const { id: task } = deployment.aws.ecs.addTask({
      account: ACCOUNT,
      region: REGION,
      cluster: 'shop',
      service: 'doomed',
      containers: [doomed],
    });
    const session = (signal?: AbortSignal) =>
      interactiveSession({
        cluster: 'shop',
        task,
        container: 'web',
        clients: clients(),
        input: new PassThrough(),
        output: new PassThrough().resume(),
        timing: { watchAfter: 100 },
        ...(signal && { signal }),
      });
    const controller = new AbortController();
    const told = session(controller.signal);
    setTimeout(() => controller.abort(new Error('enough')), 200);
    await assert.rejects(told, { message: 'enough' });
    const orphaned = session();
    setTimeout(() => void doomed.kill(), 200);
    await assert.rejects(
      orphaned,
      (error) => error instanceof ContainerGoneError && error.code === 'CONTAINER_GONE',
    );
    await doomed.remove();
  });

  function service() {
    return { clients: clients(), cluster: 'shop', service: 'web' };
  }
});
