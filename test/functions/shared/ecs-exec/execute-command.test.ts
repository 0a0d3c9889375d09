// In one file though long: whatever ends or disturbs one command of one client.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import * as errors from '../../../../functions/shared/ecs-exec/errors.ts';
import {
  commandStatus,
  executeCommand,
  forgetCommand,
  startCommand,
  stopCommand,
} from '../../../../functions/shared/ecs-exec/execute-command.ts';
import { outputText } from '../../../../functions/shared/ecs-exec/output.ts';
import type { LinkFault, LinkMessage } from '../../../../rehearsal/aws/session-manager/options.ts';
import { Cloud } from './cloud.ts';

/** Milliseconds, so that losses are noticed soon. */
const timing = {
  watchAfter: 100,
  lostAfter: 1_000,
  lostAfterResuming: 1_000,
  firstPause: 20,
  longestStart: 2_000,
  longestConnect: 300,
};

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

describe('a command that cannot be started', () => {
  for (const [what, arrange, error, message] of [
    [
      'the agent is not running',
      (cloud) => {
        cloud.container.agentRunning = false;
      },
      errors.AgentNotRunningError,
      /STOPPED in container web.*restart policy has started the container anew.*replace the task/,
    ],
    [
      'the agent is in another container, as with pidMode task',
      (cloud) => {
        cloud.agentIsElsewhere = true;
      },
      errors.NoAgentInContainerError,
      /^(?!.*replace the task).*runs in container proxy of the task only, not in container web/,
    ],
    [
      'exec is not enabled',
      (cloud) => {
        cloud.execEnabled = false;
      },
      errors.ExecNotEnabledError,
      /enableExecuteCommand/,
    ],
    ['access is denied', fault('AccessDeniedException', 403), errors.AccessDeniedError, /No permission/],
    ['AWS throttles', fault('ThrottlingException'), errors.ThrottledError, /fewer/],
    [
      'the target is not connected',
      fault('TargetNotConnectedException'),
      errors.TargetNotConnectedError,
      /ssmmessages/,
    ],
    [
      'the cluster does not exist',
      fault('ClusterNotFoundException'),
      errors.ClusterNotFoundError,
      /no cluster upkeep/,
    ],
    ['ECS refuses for another cause', fault('InvalidParameterException'), errors.StartError, /refused/],
  ] satisfies [string, (cloud: Cloud) => void, typeof errors.EcsExecError, RegExp][]) {
    it(`fails with its own error: ${what}`, async () => {
      await using cloud = await Cloud.start();
      arrange(cloud);
      const failing = executeCommand({ ...base(cloud), command: ['true'] });
      await assert.rejects(failing, (thrown) => thrown instanceof error && message.test(thrown.message));
      assert.equal(cloud.gateway.openSessions(cloud.container), 0);
      if (error !== errors.TargetNotConnectedError) assert.equal(cloud.count('ExecuteCommand'), 1);
    });
  }

  it('fails with its own error: both of the places in the container are taken', async () => {
    await using cloud = await Cloud.start();
    for (let i = 0; i < 2; i += 1)
      cloud.gateway.openSession({ container: cloud.container, command: 'sleep 300' });
    await assert.rejects(executeCommand({ ...base(cloud), command: ['true'] }), errors.SessionRefusedError);
  });

  it('fails with its own error: there is no shell', async () => {
    await using cloud = await Cloud.start();
    const failing = executeCommand({ ...base(cloud), command: ['true'], shell: ['/no/sh'] });
    await assert.rejects(
      failing,
      (error) =>
        error instanceof errors.NoShellError &&
        /has no shell, as distroless.*Unable to start command: Failed to start pty: fork\/exec \/no\/sh/.test(
          error.message,
        ),
    );
  });

  it('fails with its own error: no folder can be written', async () => {
    await using cloud = await Cloud.start();
    const failing = executeCommand({ ...base(cloud), command: ['true'], folders: ['/nowhere'] });
    await assert.rejects(failing, errors.StartError);
  });

  it('waits for an agent that is not connected yet', async () => {
    await using cloud = await Cloud.start();
    cloud.onCall = () => (cloud.calls.length < 12 ? { error: 'TargetNotConnectedException' } : undefined);
    const patient = { ...timing, firstPause: 5, longestConnect: 60_000 };
    const result = await executeCommand({ ...base(cloud), timing: patient, command: ['true'] });
    assert.equal(result.outcome, 'exited');
  });

  it('says so at the deadline if its agent was never connected', async () => {
    await using cloud = await Cloud.start();
    cloud.onCall = () => ({ error: 'TargetNotConnectedException' });
    const patient = { ...timing, longestConnect: 60_000 };
    const deadline = new Date(Date.now() + 300);
    const failing = executeCommand({ ...base(cloud), timing: patient, command: ['true'], deadline });
    await assert.rejects(failing, errors.TargetNotConnectedError);
  });
});

describe('a command is started once', () => {
  it('although ExecuteCommand gave no answer, three times', async () => {
    await using cloud = await Cloud.start({ sessionsPerContainer: 9 });
    cloud.onCall = ({ operation }) =>
      operation === 'ExecuteCommand' && cloud.count(operation) <= 3 ? 'no-answer' : undefined;
    const result = await executeCommand({
      ...base(cloud),
      command: { script: 'echo x >>/tmp/starts; exit 2' },
    });
    assert.ok(result.outcome === 'exited' && result.exitCode === 2);
    assert.equal(readFileSync(cloud.container.path('/tmp/starts'), 'utf8'), 'x\n');
    assert.equal(cloud.count('ExecuteCommand'), 4, 'the SDK itself repeats nothing');
    assert.deepEqual(filesOfRuns(cloud), [], 'sessions that no client came to have started nothing');
  });

  it('although two callers start the same run', async () => {
    await using cloud = await Cloud.start();
    const command = { script: 'echo x >>/tmp/starts; sleep 0.3; echo out; exit 2' };
    const results = await Promise.all(
      [1, 2].map(() => executeCommand({ ...base(cloud), command, keepStatus: true })),
    );
    for (const result of results) {
      assert.ok(result.outcome === 'exited' && result.exitCode === 2);
      assert.equal(result.output.head, 'out\n');
    }
    assert.equal(readFileSync(cloud.container.path('/tmp/starts'), 'utf8'), 'x\n');
  });
});

describe('a command behind a bad connection', () => {
  const script =
    'echo x >>/tmp/starts; i=0; while [ $i -lt 3000 ]; do echo "$i: some words of output"; i=$((i+1)); done; exit 4';
  const expected = Array.from({ length: 3_000 }, (_, i) => `${i}: some words of output\n`).join('');

  for (const [what, link] of [
    ['every tenth message is lost', ({ index }) => (index % 10 === 9 ? 'lose' : 'pass')],
    ['every message is doubled', () => 'double'],
    ['messages overtake each other', ({ index }) => (index % 3 === 0 ? { late: 30 } : 'pass')],
    ['every message is late', () => ({ late: 40 })],
    ['messages are damaged', ({ index }) => (index % 12 === 7 ? 'damage' : 'pass')],
    [
      'acknowledgements are lost',
      ({ messageType, index }) => (messageType === 'acknowledge' && index % 2 ? 'lose' : 'pass'),
    ],
    [
      'the end of the channel overtakes output',
      ({ messageType, sequenceNumber, to }) =>
        to === 'client' && messageType === 'output_stream_data' && sequenceNumber % 5 === 0
          ? { late: 60 }
          : 'pass',
    ],
  ] satisfies [string, (message: LinkMessage) => LinkFault][]) {
    it(`gives all its output once: ${what}`, async () => {
      await using cloud = await Cloud.start();
      cloud.gateway.faults.link = link;
      await endsAsItShould(cloud);
    });
  }

  for (const [what, neverResume] of [
    ['resumed', false],
    ['not resumed', true],
  ] as const) {
    it(`gives all its output once when the websocket is cut at every stage, ${what}`, async () => {
      for (const stage of [0, 1, 2, 3, 5, 10, 40, 80]) {
        await using cloud = await Cloud.start();
        let cut = false;
        cloud.gateway.faults = {
          neverResume,
          link: ({ to, index }) => {
            if (cut || to !== 'client' || index !== stage) return 'pass';
            cut = true;
            return 'cut';
          },
        };
        await endsAsItShould(cloud);
        assert.ok(cut);
        assert.equal(cloud.gateway.openSessions(cloud.container), 0, 'a lost session would hold a place');
      }
    });
  }

  it('is lost when no session answers, and every session is ended', async () => {
    await using cloud = await Cloud.start({ sessionsPerContainer: 9 });
    cloud.gateway.faults = { neverResume: true, link: ({ to }) => (to === 'client' ? 'cut' : 'pass') };
    const result = await executeCommand({
      ...base(cloud),
      command: { script },
      timing: { ...timing, attempts: 3 },
    });
    assert.equal(result.outcome, 'lost');
    assert.match(result.outcome === 'lost' ? result.reason : '', /the websocket broke/);
    assert.equal(cloud.count('TerminateSession'), 3);
  });

  it('is found again after a session that fell silent', async () => {
    await using cloud = await Cloud.start();
    let first: string | undefined;
    cloud.gateway.faults.link = ({ sessionId, index }) => {
      first ??= sessionId;
      return sessionId === first && index > 10 ? 'lose' : 'pass';
    };
    await endsAsItShould(cloud);
    assert.ok(cloud.count('DescribeTasks') > 0, 'silence is a reason to look whether the container still is');
    assert.equal(cloud.count('ResumeSession'), 0);
  });

  async function endsAsItShould(cloud: Cloud): Promise<void> {
    const result = await executeCommand({ ...base(cloud), command: { script }, keep: { head: 1e6 } });
    assert.ok(result.outcome === 'exited', JSON.stringify({ ...result, output: undefined }));
    assert.equal(result.exitCode, 4);
    assert.equal(result.output.head, expected);
    assert.equal(readFileSync(cloud.container.path('/tmp/starts'), 'utf8'), 'x\n');
    assert.deepEqual(filesOfRuns(cloud), []);
  }
});

describe('a session that is encrypted by KMS', () => {
  for (const encrypted of ['without-challenge', 'with-challenge'] as const) {
    it(`runs a command, ${encrypted}`, async () => {
      await using cloud = await Cloud.start({ encrypted });
      const result = await executeCommand({ ...base(cloud), command: { script: 'echo secret; exit 1' } });
      assert.ok(result.outcome === 'exited' && result.exitCode === 1);
      assert.equal(result.output.head, 'secret\n');
      const [key] = cloud.calls.filter(({ operation }) => operation === 'GenerateDataKey');
      assert.equal(key?.input.NumberOfBytes, 64);
      const context = Object(key?.input.EncryptionContext);
      assert.equal(
        context['aws:ssm:TargetId'],
        `ecs:upkeep_${cloud.target.task}_${cloud.container.runtimeId}`,
      );
      assert.equal('aws:ssm:RandomChallenge' in context, encrypted === 'with-challenge');
    });
  }

  it('fails with its own error if KMS gives no key, and starts nothing', async () => {
    await using cloud = await Cloud.start({ encrypted: 'with-challenge' });
    cloud.onCall = ({ operation }) =>
      operation === 'GenerateDataKey' ? { error: 'AccessDeniedException', message: 'no' } : undefined;
    const failing = executeCommand({ ...base(cloud), command: ['touch', '/tmp/started'] });
    await assert.rejects(
      failing,
      (error) => error instanceof errors.HandshakeError && /kms:GenerateDataKey/.test(error.message),
    );
    assert.ok(!existsSync(cloud.container.path('/tmp/started')));
  });
});

function base(cloud: Cloud) {
  return { ...cloud.target, clients: cloud.clients, runId: 'run-1', timing };
}

function operations(cloud: Cloud): string[] {
  return cloud.calls.map(({ operation }) => operation);
}

function filesOfRuns({ container }: Cloud): string[] {
  return readdirSync(container.path('/run')).filter((name) => name.startsWith('ecs-exec-'));
}

function fault(error: string, status = 400) {
  return (cloud: Cloud) => {
    cloud.onCall = ({ operation }) =>
      operation === 'ExecuteCommand' ? { error, message: 'as AWS says it', status } : undefined;
  };
}
