import assert from 'node:assert/strict';
import { it } from 'node:test';
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import type { FoundContainer } from '../../../../functions/shared/containers/discover-containers.ts';
import type { Reach, Seen } from '../../../../functions/shared/containers/reach.ts';
import {
  type RanInOne,
  runInOneContainer,
} from '../../../../functions/shared/containers/run-in-one-container.ts';
import { insideInvocations } from '../../../../functions/shared/run/time-left.ts';

const containers = ['a', 'b', 'c'].map(
  (name): FoundContainer => ({
    role: 'app',
    service: 'desk',
    taskArn: `arn:aws:ecs:eu-central-1:123456789012:task/shop/${name}`,
    container: 'app',
    runtimeId: name,
  }),
);

const DONE: Reach = {
  start: async () => ({ outcome: 'exited', exitCode: 0, output: '' }),
  follow: async () => assert.fail('it was done at once'),
};

async function runIn(runId: string, list: () => FoundContainer[], reach: Reach): Promise<RanInOne<string>> {
  const options = {
    reach,
    orderOf: () => ({ id: runId, supersedes: '', command: ['true'], marker: '' }),
    readOutput: (output: string) => output,
    timeoutSeconds: 60,
    concurrency: 1,
    retryFailed: false,
    endBy: Date.now() + 3_600_000,
  };
  const handlerFunction = withDurableExecution((_event: unknown, context) =>
    runInOneContainer(
      async (context) =>
        context.step('discover', async () => ({ containers: list(), notReady: [], missing: [] })),
      options,
      runId,
      insideInvocations(context),
    ),
  );
  // What is skipped has no timer that is real: without one the process would end in the middle.
  const alive = setInterval(() => {}, 60_000);
  // No longer than that: a test's end is told by timers, too.
  await LocalDurableTestRunner.setupTestEnvironment({ skipTime: true });
  try {
    const runner = new LocalDurableTestRunner<RanInOne<string>>({ handlerFunction });
    return (await runner.run({ payload: {} })).getResult() ?? assert.fail();
  } finally {
    await LocalDurableTestRunner.teardownTestEnvironment();
    clearInterval(alive);
  }
}

/** In which one it ran. */
async function chosenBy(runId: string, listed: FoundContainer[]): Promise<string | undefined> {
  const { ran } = await runIn(runId, () => listed, DONE);
  assert.equal(ran.length, 1);
  return ran[0]?.container.runtimeId;
}

it('one container is chosen anew in each run, whatever the order in which ECS lists them, and the same in each try of a run', async () => {
  const runs = Array.from({ length: 12 }, (_, night) => `shop-close-carts-202701${night + 10}T023000Z`);
  const chosen: (string | undefined)[] = [];
  for (const run of runs) chosen.push(await chosenBy(run, containers));
  assert.deepEqual([...new Set(chosen)].sort(), ['a', 'b', 'c']);
  assert.equal(await chosenBy(runs[0] ?? '', containers.toReversed()), chosen[0]);
});

it('one that goes away, or cannot be entered, before the command began is passed over, also after AWS has asked for fewer calls; one in which it may have begun is the last', async () => {
  const played = async (...seen: Seen[]) => {
    const started: string[] = [];
    let looks = 0;
    const list = () =>
      looks++ < 4 ? containers : containers.map((each) => ({ ...each, runtimeId: `${each.runtimeId} 2` }));
    const { ran, passedOver } = await runIn('a run', list, {
      ...DONE,
      async start({ runtimeId }) {
        started.push(runtimeId);
        return seen.shift() ?? { outcome: 'exited', exitCode: 0, output: '' };
      },
    });
    return [started.length, new Set(started).size, passedOver.length, ran[0]?.ended.outcome];
  };
  const gone: Seen = { outcome: 'gone', detail: 'scaling in', beforeStart: true };
  const throttled: Seen = { outcome: 'not-now', detail: 'Rate exceeded' };
  assert.deepEqual(await played(gone, { outcome: 'not-started', detail: 'no agent' }), [3, 3, 2, 'exited']);
  assert.deepEqual(await played(throttled, throttled), [3, 1, 0, 'exited']);
  assert.deepEqual(await played(throttled, gone), [3, 2, 1, 'exited']);
  assert.deepEqual(await played(gone, gone, gone), [4, 4, 3, 'exited'], 'a task is started in their place');
  assert.deepEqual(await played({ outcome: 'gone', detail: 'scaling in' }), [1, 1, 0, 'gone']);
  assert.deepEqual(await played({ outcome: 'lost', detail: 'the channel broke' }), [1, 1, 0, 'lost']);
});
