import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import type { FoundContainer } from '../../../../functions/shared/containers/discover-containers.ts';
import type { Reach } from '../../../../functions/shared/containers/reach.ts';
import {
  type RanInOne,
  runInOneContainer,
} from '../../../../functions/shared/containers/run-in-one-container.ts';
import { insideInvocations } from '../../../../functions/shared/run/time-left.ts';

before(() => LocalDurableTestRunner.setupTestEnvironment());
after(() => LocalDurableTestRunner.teardownTestEnvironment());

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

/** In which one it ran. */
async function chosenBy(runId: string, listed: FoundContainer[]): Promise<string | undefined> {
  const options = {
    reach: DONE,
    orderOf: () => ({ id: runId, supersedes: '', command: ['true'], marker: '' }),
    readOutput: (output: string) => output,
    timeoutSeconds: 60,
    concurrency: 1,
    retryFailed: false,
    endBy: Date.now() + 3_600_000,
  };
  const handlerFunction = withDurableExecution((_event: unknown, context) =>
    runInOneContainer(
      async () => ({ containers: listed, notReady: [], missing: [] }),
      options,
      runId,
      insideInvocations(context),
    ),
  );
  const runner = new LocalDurableTestRunner<RanInOne<string>>({ handlerFunction });
  const { ran = [] } = (await runner.run({ payload: {} })).getResult() ?? {};
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
