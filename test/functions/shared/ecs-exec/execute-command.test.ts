import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import {
  commandStatus,
  executeCommand,
  forgetCommand,
  startCommand,
  stopCommand,
} from '../../../../functions/shared/ecs-exec/execute-command.ts';
import { outputText } from '../../../../functions/shared/ecs-exec/output.ts';
import { Cloud, filesOfRuns } from './cloud.ts';
import { base, timing } from './impatient-client.ts';

describe('a command in a container', () => {
  it('ends with its exit code and its output, in one session, and leaves no file', async () => {
    await using cloud = await Cloud.start();
    const result = await executeCommand({
      ...base(cloud),
      timing: {},
      command: { script: 'echo größe; printf "a\\tb" >&2; exit 3' },
    });
    assert.deepEqual(result, {
      outcome: 'exited',
      exitCode: 3,
      output: { head: 'größe\na\tb', tail: '', omittedBytes: 0, totalBytes: 11 },
      skippedBySink: 0,
    });
    assert.deepEqual(operations(cloud), ['ExecuteCommand']);
    assert.deepEqual(filesOfRuns(cloud), []);
    assert.equal(cloud.gateway.openSessions(cloud.container), 0);
  });

  it('is given its arguments as they are, and no input', async () => {
    await using cloud = await Cloud.start();
    const words = ["it's", '$HOME', 'a\nb', '"', '\\', '{{x}}'];
    const { output } = await executeCommand({ ...base(cloud), command: ['printf', '%s\\n', ...words] });
    assert.equal(output.head, words.map((word) => `${word}\n`).join(''));
    const reading = await executeCommand({ ...base(cloud), runId: 'reads', command: ['cat'] });
    assert.equal(reading.output.totalBytes, 0);
  });

  it('gives its output byte for byte if asked', async () => {
    await using cloud = await Cloud.start();
    const script = 'head -c 300000 /dev/urandom >/tmp/random; cat /tmp/random; printf "\\357\\277\\275\\377"';
    const pieces: Uint8Array[] = [];
    const result = await executeCommand({
      ...base(cloud),
      command: { script },
      bytes: true,
      keep: { head: 10, tail: 10 },
      sink: (piece) => {
        pieces.push(piece);
      },
    });
    const expected = Buffer.concat([
      readFileSync(cloud.container.path('/tmp/random')),
      Buffer.from('efbfbdff', 'hex'),
    ]);
    assert.deepEqual(Buffer.concat(pieces), expected);
    assert.deepEqual(Buffer.from(result.output.head), expected.subarray(0, 10));
    assert.deepEqual(Buffer.from(result.output.tail), expected.subarray(-10));
    assert.equal(result.output.omittedBytes, expected.length - 20);
  });

  it('gives output to the sink while the command runs', async () => {
    await using cloud = await Cloud.start();
    const pieces: string[] = [];
    const result = await executeCommand({
      ...base(cloud),
      command: { script: 'echo one; until [ -e /tmp/go ]; do sleep 0.02; done; echo two' },
      sink: (piece) => {
        pieces.push(piece);
        writeFileSync(cloud.container.path('/tmp/go'), '');
      },
    });
    assert.equal(result.outcome, 'exited');
    assert.deepEqual(pieces, ['one\n', 'two\n']);
  });

  it('gives text whole to a slow sink, and is not held up by one that never returns', async () => {
    await using cloud = await Cloud.start();
    const pieces: string[] = [];
    const command = { script: 'i=0; while [ $i -lt 20000 ]; do echo "line $i ✓"; i=$((i + 1)); done' };
    const slow = await executeCommand({
      ...base(cloud),
      command,
      keep: { head: 100, tail: 100 },
      sink: async (piece) => {
        // The first for longer than the agent waits for acknowledgements at the end.
        await new Promise((resolve) => setTimeout(resolve, pieces.push(piece) === 1 ? 700 : 5));
      },
    });
    assert.equal(slow.outcome, 'exited');
    assert.equal(pieces.join(''), Array.from({ length: 20_000 }, (_, i) => `line ${i} ✓\n`).join(''));
    assert.match(outputText(slow.output), /^line 0 ✓\n(?:.|\n)*bytes left out(?:.|\n)*line 19999 ✓\n$/);

    const failed = await executeCommand({
      ...base(cloud),
      runId: 'failing-sink',
      command: ['echo', 'hi'],
      sink: () => {
        throw new Error('disk full');
      },
    });
    assert.equal(failed.outcome, 'exited');
    assert.match(String(failed.sinkError), /disk full/);
  });

  it('is stopped at its deadline', async () => {
    await using cloud = await Cloud.start();
    const result = await executeCommand({
      ...base(cloud),
      command: { script: 'echo begun; touch /tmp/begun; sleep 300; touch /tmp/late' },
      deadline: new Date(Date.now() + 1_000),
    });
    assert.equal(result.outcome, 'timed-out');
    assert.ok(result.outcome === 'timed-out' && result.stopped);
    assert.equal(result.output.head, 'begun\n');
    assert.equal(
      await cloud.container.run('ps -e -o comm= | grep -c "^sleep$" || true'),
      '1\n',
      "the container's own sleep",
    );
    assert.deepEqual(filesOfRuns(cloud), []);
  });

  it('is stopped by a signal, whose reason is thrown', async () => {
    await using cloud = await Cloud.start();
    const controller = new AbortController();
    const running = executeCommand({
      ...base(cloud),
      command: { script: 'echo begun; sleep 300' },
      signal: controller.signal,
      sink: () => controller.abort(new Error('changed my mind')),
    });
    await assert.rejects(running, { message: 'changed my mind' });
    assert.deepEqual(filesOfRuns(cloud), []);
    await assert.rejects(executeCommand({ ...base(cloud), command: ['true'], signal: controller.signal }), {
      message: 'changed my mind',
    });
  });

  for (const [when, slow, slowly] of [
    // What keeps the status is a shell of its own.
    ['before it has taken its lock', '/opt/sh', '[ -z "$ECS_EXEC_TOKEN" ] || sleep 0.4\nexec sh "$@"'],
    // The input's file is removed between the lock and the command.
    ['before the command is there', '/opt/bin/rm', 'sleep 0.4\nexec /bin/rm "$@"'],
  ] as const)
    it(`is stopped although told so ${when}`, async () => {
      const environment = { PATH: '/opt/bin:/usr/bin:/bin' };
      await using cloud = await Cloud.start({ container: { environment } });
      writeFileSync(cloud.container.path(slow), `#!/bin/sh\n${slowly}\n`);
      chmodSync(cloud.container.path(slow), 0o755);
      const controller = new AbortController();
      let questions = 0;
      cloud.gateway.faults.link = ({ messageType, payloadType }) => {
        // Whether it is there, its input, and to start it.
        if (messageType === 'input_stream_data' && payloadType === 1 && ++questions === 3)
          controller.abort(new Error('changed my mind'));
        return 'pass';
      };
      const running = executeCommand({
        ...base(cloud),
        shell: [slow === '/opt/sh' ? slow : 'sh'],
        command: ['sleep', '300'],
        stdin: 'some',
        signal: controller.signal,
      });
      await assert.rejects(running, { message: 'changed my mind' });
      const script = 'sleep 0.6; ps -e -o args= | grep -c "^[s]leep 300$" || true';
      assert.equal(await cloud.container.run(script), '0\n', 'nor does it come later');
      assert.deepEqual(filesOfRuns(cloud), []);
    });

  it('is reported gone when its container dies, which nobody announces', async () => {
    await using cloud = await Cloud.start();
    const result = await executeCommand({
      ...base(cloud),
      command: { script: 'echo begun; sleep 300' },
      sink: () => cloud.container.kill(),
    });
    assert.equal(result.outcome, 'gone');
    assert.match(result.outcome === 'gone' ? result.reason : '', /stopped, exit code 137: OutOfMemoryError/);
    assert.equal(result.output.head, 'begun\n');
    const again = await executeCommand({ ...base(cloud), command: ['true'] });
    assert.equal(again.outcome, 'gone');
  });

  it('is reported gone when its container was started anew', async () => {
    await using cloud = await Cloud.start();
    const result = await executeCommand({
      ...base(cloud),
      command: { script: 'echo begun; sleep 300' },
      sink: () => cloud.container.run('rm /run/ecs-exec-*').then(() => {}),
    });
    assert.ok(result.outcome === 'gone' && /anew/.test(result.reason));
  });

  it('is reported gone, not timed out, when its container died shortly before its deadline', async () => {
    await using cloud = await Cloud.start();
    const result = await executeCommand({
      ...base(cloud),
      timing: { ...timing, watchAfter: 60_000, lostAfter: 60_000 },
      command: { script: 'echo begun; sleep 300' },
      sink: () => cloud.container.kill(),
      deadline: new Date(Date.now() + 1_000),
    });
    assert.equal(result.outcome, 'gone');
  });

  it('is waited for without a session: started, asked after, stopped, forgotten', async () => {
    await using cloud = await Cloud.start();
    const command = { script: 'echo one; until [ -e /tmp/go ]; do sleep 0.05; done; echo two; exit 6' };
    const started = await startCommand({ ...base(cloud), command, attendFor: 200 });
    assert.equal(started.outcome, 'running');
    assert.equal(cloud.gateway.openSessions(cloud.container), 0);
    const meanwhile = await commandStatus(base(cloud));
    assert.equal(meanwhile.outcome, 'running');
    assert.equal(meanwhile.output.head, 'one\n');
    await cloud.container.run('touch /tmp/go');
    const ended = await executeCommand({ ...base(cloud), command, keepStatus: true });
    assert.ok(ended.outcome === 'exited' && ended.exitCode === 6);
    assert.equal(ended.output.head, 'one\ntwo\n');
    assert.deepEqual(await commandStatus(base(cloud)), ended);
    await forgetCommand(base(cloud));
    assert.equal((await commandStatus(base(cloud))).outcome, 'unknown');

    const endless = { ...base(cloud), runId: 'endless' };
    await startCommand({ ...endless, command: ['sleep', '300'], attendFor: 100 });
    const stopped = await stopCommand(endless);
    assert.ok(stopped.outcome === 'timed-out' && stopped.stopped);
    const quick = await startCommand({ ...base(cloud), runId: 'quick', command: ['echo', 'hi'] });
    assert.equal(quick.outcome, 'exited');
  });

  it('is followed and not started again when what was to keep its status is killed', async () => {
    await using cloud = await Cloud.start();
    const script =
      'echo x >>/tmp/starts; kill -9 $PPID; echo on; until [ -e /tmp/go ]; do sleep 0.02; done; echo done';
    const first = await startCommand({ ...base(cloud), command: { script }, attendFor: 300 });
    assert.equal(first.outcome, 'running');
    assert.equal((await commandStatus(base(cloud))).outcome, 'running');
    const { outcome, output, ...rest } = await executeCommand({
      ...base(cloud),
      command: { script },
      sink: () => writeFileSync(cloud.container.path('/tmp/go'), ''),
    });
    assert.equal(outcome, 'lost');
    assert.match('reason' in rest ? rest.reason : '', /keep the status was killed .*the command went on/);
    assert.equal(output.head, 'on\ndone\n');
    assert.equal(readFileSync(cloud.container.path('/tmp/starts'), 'utf8'), 'x\n');
  });

  it('is stopped although what was to keep its status was killed', async () => {
    await using cloud = await Cloud.start();
    const script = 'kill -9 $PPID; sleep 300';
    await startCommand({ ...base(cloud), command: { script }, attendFor: 300 });
    const stopped = await stopCommand(base(cloud));
    assert.ok(stopped.outcome === 'timed-out' && stopped.stopped);
    assert.equal(await cloud.container.run('ps -e -o args= | grep -c "[s]leep 300$" || true'), '0\n');
  });

  it('is lost if it was killed with what was to keep its status', async () => {
    await using cloud = await Cloud.start();
    const result = await executeCommand({ ...base(cloud), command: { script: 'kill -9 -$PPID' } });
    assert.equal(result.outcome, 'lost');
    assert.match(result.outcome === 'lost' ? result.reason : '', /^all its processes were killed/);
  });
});

function operations(cloud: Cloud): string[] {
  return cloud.calls.map(({ operation }) => operation);
}
