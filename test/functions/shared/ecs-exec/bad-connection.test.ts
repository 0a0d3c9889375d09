import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { executeCommand } from '../../../../functions/shared/ecs-exec/execute-command.ts';
import type { LinkFault, LinkMessage } from '../../../../rehearsal/aws/session-manager/options.ts';
import { Cloud, filesOfRuns } from './cloud.ts';
import { base, timing } from './impatient-client.ts';

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
