import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentNotRunningError } from '../../../../functions/shared/ecs-exec/errors.ts';
import { streamCommand } from '../../../../functions/shared/ecs-exec/stream-command.ts';
import { Cloud } from './cloud.ts';

describe('a command that is iterated over', () => {
  it('gives what it prints as it comes, and then how it ended', async () => {
    await using cloud = await Cloud.start();
    const script = 'echo one; until [ -e /tmp/go ]; do sleep 0.02; done; echo two; exit 5';
    const stream = streamCommand({ ...base(cloud), command: { script } });
    const pieces: string[] = [];
    for await (const text of stream) {
      pieces.push(text);
      await cloud.container.run('touch /tmp/go');
    }
    assert.deepEqual(pieces, ['one\n', 'two\n']);
    const result = await stream.result;
    assert.equal(result.outcome === 'exited' && result.exitCode, 5);
  });

  it('loses nothing to whoever is slow, and holds up no more than there is room for', async () => {
    await using cloud = await Cloud.start();
    const script = 'head -c 2500000 /dev/zero | tr "\\0" x';
    const stream = streamCommand({ ...base(cloud), command: { script }, bytes: true });
    let [received, largest] = [0, 0];
    for await (const piece of stream) {
      received += piece.length;
      largest = Math.max(largest, piece.length);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    assert.equal(received, 2_500_000);
    assert.equal((await stream.result).skippedBySink, 0);
    assert.ok(largest <= 1_048_576, `${largest} bytes`);
  });

  it('is stopped when the iteration is broken off', async () => {
    await using cloud = await Cloud.start();
    const stream = streamCommand({ ...base(cloud), command: { script: 'yes' } });
    for await (const _ of stream) break;
    await assert.rejects(stream.result, { message: 'The iteration was broken off.' });
    assert.equal(await cloud.container.run('ps -e -o comm= | grep -c "^yes$" || true'), '0\n');
  });

  it('throws while it is iterated over what kept it from being started', async () => {
    await using cloud = await Cloud.start();
    cloud.container.agentRunning = false;
    const all = async () => {
      for await (const _ of streamCommand({ ...base(cloud), command: ['true'] }));
    };
    await assert.rejects(all(), AgentNotRunningError);
  });
});

function base(cloud: Cloud) {
  return { ...cloud.target, clients: cloud.clients, runId: 'run-1' };
}
