import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { StartError } from '../../../../functions/shared/ecs-exec/errors.ts';
import { commandStatus, executeCommand } from '../../../../functions/shared/ecs-exec/execute-command.ts';
import {
  fill,
  hide,
  leaveEmptyLock,
  limitProcesses,
  mountsUnavailable,
  plantFiles,
  usersUnavailable,
} from '../../../../rehearsal/aws/containers/container-faults.ts';
import { Cloud } from './cloud.ts';

describe('a container without room', () => {
  for (const how of ['no-block-free', 'no-inode-free', 'one-block-free'] as const) {
    it(`has the run's files elsewhere: ${how}`, async (context) => {
      const unavailable = mountsUnavailable();
      if (unavailable !== undefined) return context.skip(unavailable);
      await using cloud = await Cloud.start();
      await fill(cloud.container, '/mnt/full', how);
      const folders = ['/mnt/full', '/dev/shm'];
      const result = await executeCommand({
        ...base(cloud),
        folders,
        command: { script: 'echo hi; exit 3' },
      });
      assert.deepEqual([result.outcome, result.output.head], ['exited', 'hi\n']);
      assert.equal(result.outcome === 'exited' && result.exitCode, 3);
      assert.equal(await cloud.container.run('ls /mnt/full | grep ecs-exec || true'), '');
    });
  }

  for (const [what, fill] of [
    ['blocks', 'head -c 999999 /dev/zero >/mnt/full/x'],
    ['inodes', 'i=0; while touch /mnt/full/$i; do i=$((i + 1)); done'],
  ] as const) {
    it(`still gets the status of a command that takes the last of the ${what}`, async (context) => {
      await using cloud = await Cloud.start();
      if (!(await mounted(cloud, context, 'size=64k,nr_inodes=40'))) return;
      const script = `${fill}; echo not written; exit 3`;
      const folders = ['/mnt/full'];
      const result = await executeCommand({ ...base(cloud), folders, command: { script } });
      assert.equal(result.outcome === 'exited' && result.exitCode, 3, JSON.stringify(result));
    });
  }

  it('is named as the cause where there is room nowhere', async (context) => {
    const unavailable = mountsUnavailable();
    if (unavailable !== undefined) return context.skip(unavailable);
    await using cloud = await Cloud.start();
    await fill(cloud.container, '/mnt/full', 'not-one-file');
    const timing = { longestStart: 500 };
    const failing = executeCommand({ ...base(cloud), folders: ['/mnt/full'], command: ['true'], timing });
    await assert.rejects(
      failing,
      (error) => error instanceof StartError && /read-only or full/.test(error.message),
    );
  });

  it('that lets no further process be made has run nothing, and says so', async (context) => {
    const unavailable = usersUnavailable();
    if (unavailable !== undefined) return context.skip(unavailable);
    await using cloud = await Cloud.start();
    for (const processes of [1, 2]) {
      await limitProcesses(cloud.container, processes);
      const failing = executeCommand({
        ...base(cloud),
        runId: `run-${processes}`,
        folders: ['/dev/shm'],
        command: ['touch', '/tmp/has-run'],
      });
      await assert.rejects(
        failing,
        (error) => error instanceof StartError && /nothing has run/.test(error.message),
        `${processes} processes`,
      );
      assert.ok(!existsSync(cloud.container.path('/tmp/has-run')));
    }
  });
});

describe('a container without the programs that are made use of', () => {
  it('runs the command, and knows how it ended', async (context) => {
    const unavailable = mountsUnavailable();
    if (unavailable !== undefined) return context.skip(unavailable);
    await using cloud = await Cloud.start();
    for (const program of ['rm', 'dd', 'stat', 'wc', 'sleep']) await hide(cloud.container, program);
    const result = await executeCommand({ ...base(cloud), command: { script: 'echo hi; exit 3' } });
    assert.deepEqual([result.outcome, result.output.head], ['exited', 'hi\n']);
    assert.equal(result.outcome === 'exited' && result.exitCode, 3);
    // Without rm what is left is empty, and no run of the same id is taken for this one.
    const again = await executeCommand({ ...base(cloud), command: { script: 'echo again' } });
    assert.deepEqual([again.outcome, again.output.head], ['exited', 'again\n']);
  });
});

describe('files that others have put there', () => {
  it('neither start nor end a run: a lock, a status, an output, links', async (context) => {
    const unavailable = usersUnavailable();
    if (unavailable !== undefined) return context.skip(unavailable);
    await using cloud = await Cloud.start();
    plantFiles(cloud.container, 'run-1');
    const folders = ['/tmp', '/var/tmp', '/dev/shm'];
    assert.equal((await commandStatus({ ...base(cloud), folders })).outcome, 'unknown');
    const result = await executeCommand({
      ...base(cloud),
      folders,
      command: { script: 'echo true; exit 9' },
    });
    assert.deepEqual([result.outcome, result.output.head], ['exited', 'true\n']);
    assert.equal(result.outcome === 'exited' && result.exitCode, 9);
    assert.equal(readFileSync(cloud.container.path('/tmp/ecs-exec-run-1.token'), 'utf8'), 'all is well\n');
  });

  it('cannot be written beforehand, for their names are in no command line', async () => {
    await using cloud = await Cloud.start();
    const script = 'cat /proc/[0-9]*/cmdline | tr "\\0" "\\n"; ls /run';
    const { output } = await executeCommand({ ...base(cloud), command: { script } });
    const [, token = ''] = /^ecs-exec-run-1\.([0-9a-f]{32})$/m.exec(output.head + output.tail) ?? [];
    assert.notEqual(token, '');
    assert.equal(`${output.head}${output.tail}`.split(token).length, 2, 'only as the name of the file');
  });

  it('may be an empty lock of our own, left by a full disk: the next folder is taken', async () => {
    await using cloud = await Cloud.start();
    leaveEmptyLock(cloud.container, 'run-1');
    const result = await executeCommand({ ...base(cloud), command: ['echo', 'hi'] });
    assert.deepEqual([result.outcome, result.output.head], ['exited', 'hi\n']);
  });
});

describe("the command's surroundings", () => {
  /** Names that the wrapper might use, and settings that change what shells and tools do. */
  const environment = {
    F: 'f',
    e: 'e',
    i: 'i',
    k: 'k',
    p: 'p',
    s: 's',
    u: 'u',
    w: 'w',
    x: 'x',
    BASH_ENV: '/nowhere',
    ENV: '/nowhere',
    TIME_STYLE: 'full-iso',
    BLOCK_SIZE: '1G',
    LC_ALL: 'tr_TR.UTF-8',
  };

  it('are its own: the environment as the agent gives it', async () => {
    await using cloud = await Cloud.start({ container: { environment } });
    const direct = await cloud.container.run('env');
    const { output } = await executeCommand({ ...base(cloud), command: ['env'] });
    const variables = (text: string) =>
      text
        .split('\n')
        // A shell's own.
        .filter((line) => line !== '' && !/^(_|SHLVL|PWD|OLDPWD)=/.test(line))
        .sort();
    assert.deepEqual(variables(output.head), variables(direct));
  });

  it('hold no terminal: what asks for a password or sets a terminal fails, and does not wait', async () => {
    await using cloud = await Cloud.start();
    const script = 'stty -a </dev/tty; echo "stty $?"; read -r password </dev/tty; echo "read $?"; exit 6';
    const result = await executeCommand({
      ...base(cloud),
      command: { script },
      deadline: new Date(Date.now() + 20_000),
    });
    assert.equal(result.outcome === 'exited' && result.exitCode, 6, JSON.stringify(result));
    assert.match(result.output.head, /stty [1-9]\d*\n(?:.*\n)*read [1-9]/);
  });

  it('let the terminal not stop it either where there is no setsid', async () => {
    await using cloud = await Cloud.start();
    const programs = '/tmp/no-setsid';
    await cloud.container.run(
      `mkdir ${programs}; for each in env stty stat dd rm sleep sh; do ln -s $(command -v $each) ${programs}; done`,
    );
    const result = await executeCommand({
      ...base(cloud),
      shell: ['env', `PATH=${programs}`, '/bin/sh'],
      command: { script: 'stty -a </dev/tty; read -r password </dev/tty; echo "read $?"; exit 6' },
      deadline: new Date(Date.now() + 20_000),
    });
    assert.equal(result.outcome === 'exited' && result.exitCode, 6, JSON.stringify(result));
  });
});

/** A file system of its own in the container, where this machine allows it. */
async function mounted(cloud: Cloud, context: TestContext, options: string): Promise<boolean> {
  if (cloud.container.isolation === 'namespaces') {
    const said = await cloud.container.run(
      `mkdir -p /mnt/full && mount -t tmpfs -o ${options} tmpfs /mnt/full && echo done`,
    );
    if (said.endsWith('done\n')) return true;
  }
  context.skip('a full disk needs a mount of its own');
  return false;
}

function base(cloud: Cloud) {
  return { ...cloud.target, clients: cloud.clients, runId: 'run-1' };
}
