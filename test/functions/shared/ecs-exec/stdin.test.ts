import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { StartError } from '../../../../functions/shared/ecs-exec/errors.ts';
import { executeCommand, startCommand } from '../../../../functions/shared/ecs-exec/execute-command.ts';
import { InputReader } from '../../../../functions/shared/ecs-exec/input.ts';
import { Cloud, filesOfRuns } from './cloud.ts';

const timing = { watchAfter: 100, lostAfter: 1_000, lostAfterResuming: 200, firstPause: 20 };

describe('the standard input of a command', () => {
  it('is a text, of any length', async () => {
    await using cloud = await Cloud.start();
    for (const stdin of ['größe\n\\ $HOME\n', '']) {
      const result = await executeCommand({ ...base(cloud), command: ['cat'], stdin });
      assert.deepEqual([result.outcome, result.output.head], ['exited', stdin]);
    }
    assert.equal(cloud.count('ExecuteCommand'), 2, 'the input needs no session of its own');
    assert.deepEqual(filesOfRuns(cloud), []);
  });

  it('is a stream of bytes, which arrive once and in order although the connection breaks', async () => {
    await using cloud = await Cloud.start();
    const bytes = randomBytes(150_000);
    let broken = 0;
    cloud.gateway.faults = {
      neverResume: true,
      link: ({ to, index }) => {
        if (to !== 'agent' || index !== 200 || broken === 2) return 'pass';
        broken += 1;
        return 'cut';
      },
    };
    const pieces = Array.from({ length: 15 }, (_, i) => bytes.subarray(i * 10_000, (i + 1) * 10_000));
    const result = await executeCommand({
      ...base(cloud),
      command: ['cat'],
      bytes: true,
      keep: { head: 1e6 },
      stdin: Readable.from(pieces),
    });
    assert.equal(broken, 2);
    assert.ok(bytes.equals(result.output.head));
    assert.deepEqual(filesOfRuns(cloud), []);
  });

  it('is not read where the run has been started before', async () => {
    await using cloud = await Cloud.start();
    await startCommand({ ...base(cloud), command: ['cat'], stdin: 'first' });
    const result = await executeCommand({
      ...base(cloud),
      command: ['cat'],
      stdin: (function* () {
        assert.fail('read');
        yield '';
      })(),
    });
    assert.equal(result.output.head, 'first');
  });

  it('that fails, has nothing run and leaves nothing', async () => {
    await using cloud = await Cloud.start();
    const failing = executeCommand({
      ...base(cloud),
      command: ['touch', '/tmp/has-run'],
      stdin: (async function* () {
        yield 'some';
        throw new Error('the disk of the caller broke');
      })(),
    });
    await assert.rejects(failing, { message: 'the disk of the caller broke' });
    assert.ok(!existsSync(cloud.container.path('/tmp/has-run')));
    assert.deepEqual(filesOfRuns(cloud), []);
  });

  it('that never comes ends with the deadline, with nothing run', async () => {
    await using cloud = await Cloud.start();
    const result = await executeCommand({
      ...base(cloud),
      command: ['touch', '/tmp/has-run'],
      stdin: new Readable({ read() {} }),
      deadline: new Date(Date.now() + 300),
    });
    assert.equal(result.outcome, 'timed-out');
    assert.ok(!existsSync(cloud.container.path('/tmp/has-run')));
  });

  it('that never comes is not waited for after the end, which would keep the process alive', {
    timeout: 5_000,
  }, async () => {
    const input = new InputReader(new Readable({ read() {} }));
    const piece = input.peek(1);
    input.close();
    assert.equal(await piece, undefined);
  });

  it('that finds no room has nothing run, and says why', async (context) => {
    await using cloud = await Cloud.start();
    if (cloud.container.isolation !== 'namespaces')
      return context.skip('a full disk needs a mount of its own');
    await cloud.container.run('mkdir -p /mnt/full && mount -t tmpfs -o size=64k tmpfs /mnt/full');
    const failing = executeCommand({
      ...base(cloud),
      folders: ['/mnt/full'],
      command: ['touch', '/tmp/has-run'],
      stdin: 'x'.repeat(200_000),
    });
    await assert.rejects(
      failing,
      (error) =>
        error instanceof StartError && /not grow beyond 65536 bytes.*disk is full/.test(error.message),
    );
    assert.equal(await cloud.container.run('ls -A /mnt/full; ls -d /tmp/has-run 2>/dev/null'), '');
  });
});

function base(cloud: Cloud) {
  return { ...cloud.target, clients: cloud.clients, runId: 'run-1', timing };
}
