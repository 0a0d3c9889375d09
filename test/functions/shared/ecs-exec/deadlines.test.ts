import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import { DescribeTasksCommand } from '@aws-sdk/client-ecs';
import { GenerateDataKeyCommand } from '@aws-sdk/client-kms';
import { TerminateSessionCommand } from '@aws-sdk/client-ssm';
import {
  commandStatus,
  executeCommand,
  startCommand,
  stopCommand,
} from '../../../../functions/shared/ecs-exec/execute-command.ts';
import { ecsExecClients, openSession } from '../../../../functions/shared/ecs-exec/session.ts';
import { Cloud } from './cloud.ts';

/** Prints 4 MB a second, much more than an agent ever passes on. */
const FLOOD = `trap 'echo stopped by TERM; exit 9' TERM
touch /tmp/flooding
while :; do head -c 400000 /dev/zero | tr '\\0' x; echo; sleep 0.1; done`;

/** As slow as the real agent: 0.88 MB/s. */
const AS_SLOW_AS_THE_AGENT = { readingPause: 1 };

describe('a command whose output is faster than the channel', () => {
  it('is told to stop at its deadline, and its end is read', async () => {
    await using cloud = await Cloud.start({ timing: AS_SLOW_AS_THE_AGENT });
    const deadline = Date.now() + 1_500;
    const pieces: string[] = [];
    const result = await executeCommand({
      ...base(cloud),
      command: { script: FLOOD },
      deadline: new Date(deadline),
      sink: (text) => {
        pieces.push(text);
      },
    });
    assert.ok(result.outcome === 'timed-out' && result.stopped);
    assert.match(result.output.tail, /stopped by TERM\n$/);
    assert.ok(result.output.omittedBytes > 0);
    const received = pieces.join('').length;
    assert.equal(
      received + result.skippedBySink,
      result.output.totalBytes,
      'what the sink missed is counted',
    );
    // At 4 MB a second all of it would take the agent seconds more.
    assert.ok(result.skippedBySink > 1e6, `${result.skippedBySink} bytes skipped`);
  });

  it('costs a look kilobytes, however much it has printed', async () => {
    await using cloud = await Cloud.start();
    const script = 'head -c 20000000 /dev/zero | tr "\\0" x; echo end; sleep 300';
    await startCommand({ ...base(cloud), command: { script }, attendFor: 100 });
    for (;;) {
      const { output } = await commandStatus(base(cloud));
      if (output.totalBytes >= 20_000_004) break;
    }
    let messages = 0;
    cloud.gateway.faults.link = ({ to }) => {
      if (to === 'client') messages += 1;
      return 'pass';
    };
    const status = await commandStatus({ ...base(cloud), keep: { head: 16_384, tail: 16_384 } });
    assert.equal(status.outcome, 'running');
    assert.equal(status.output.totalBytes, 20_000_004);
    assert.equal(status.output.head, 'x'.repeat(16_384));
    assert.match(status.output.tail, /^x{16380}end\n$/);
    assert.ok(messages < 100, `${messages} messages of 1,024 bytes`);
    cloud.gateway.faults = {};
    await stopCommand(base(cloud));
  });

  it('gives a sink what is new since the look before', async () => {
    await using cloud = await Cloud.start();
    const script = 'echo one; until [ -e /tmp/go ]; do sleep 0.02; done; echo two; sleep 300';
    await startCommand({ ...base(cloud), command: { script }, attendFor: 200 });
    let from = 0;
    const pieces: string[] = [];
    const look = async () => {
      const { output } = await commandStatus({
        ...base(cloud),
        from,
        sink: (text) => {
          pieces.push(text);
        },
      });
      from = output.totalBytes;
    };
    while (pieces.length < 1) await look();
    await cloud.container.run('touch /tmp/go');
    while (pieces.length < 2) await look();
    assert.deepEqual(pieces, ['one\n', 'two\n']);
    await stopCommand(base(cloud));
  });

  it('is read from its beginning and its end only, where there is no sink', async () => {
    await using cloud = await Cloud.start();
    let messages = 0;
    cloud.gateway.faults.link = ({ to }) => {
      if (to === 'client') messages += 1;
      return 'pass';
    };
    const script = 'echo begin; head -c 30000000 /dev/zero | tr "\\0" x >/tmp/much; cat /tmp/much; echo end';
    const result = await executeCommand({ ...base(cloud), command: { script } });
    const printed = statSync(cloud.container.path('/tmp/much')).size + 'begin\nend\n'.length;
    assert.deepEqual([result.outcome, result.output.totalBytes], ['exited', printed]);
    assert.match(result.output.head, /^begin\nx+$/);
    assert.match(result.output.tail, /^x+end\n$/);
    assert.ok(messages < 400, `${messages} messages of 1,024 bytes`);
  });
});

it('AWS is not waited for where it takes a call and never answers', { timeout: 10_000 }, async (t) => {
  const server = createServer(() => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const clients = ecsExecClients({
    region: 'eu-central-1',
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'example' },
  });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const passing = setInterval(() => t.mock.timers.tick(5_000), 1);
  const target = { cluster: 'upkeep', task: '0123456789abcdef', container: 'web' };
  try {
    const calls = [
      openSession(clients, target, 'true'),
      clients.ecs.send(new DescribeTasksCommand({ tasks: [target.task] })),
      clients.ssm.send(new TerminateSessionCommand({ SessionId: 'ecs-execute-command-0' })),
      clients.kms.send(new GenerateDataKeyCommand({ KeyId: 'k', NumberOfBytes: 64 })),
    ];
    for (const [opening, end] of (await Promise.allSettled(calls)).entries())
      if (opening === 0)
        assert.match(JSON.stringify(end), /"unknown".*ExecuteCommand failed with TimeoutError/);
      else assert.equal(end.status === 'rejected' && end.reason.name, 'TimeoutError');
  } finally {
    clearInterval(passing);
    server.closeAllConnections();
    server.close();
  }
});

function base(cloud: Cloud) {
  return { ...cloud.target, clients: cloud.clients, runId: 'run-1' };
}
