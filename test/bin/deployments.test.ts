import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { lastRunsOf } from '../../bin/deployments.ts';

const DAY_MS = 24 * 3600_000;
const NOW = Date.parse('2026-11-25T09:00:00Z');

/** What Lambda remembers: how many days ago each began, and how it ended. */
async function lastOf(...runs: [daysAgo: number, outcome: string][]): Promise<string[]> {
  const executions = runs.map(([daysAgo, outcome], index) => ({
    DurableExecutionArn: `arn:aws:lambda:eu-west-1:123456789012:function:shop-gc:1/durable-execution/${index}`,
    DurableExecutionName: outcome,
    StartTimestamp: new Date(NOW - daysAgo * DAY_MS),
    Status: outcome === 'RUNNING' ? 'RUNNING' : 'SUCCEEDED',
    Result: outcome === 'RUNNING' ? undefined : JSON.stringify({ outcome }),
  }));
  const send = mock.method(
    LambdaClient.prototype,
    'send',
    async ({ input }: { input: { StartedAfter?: Date; DurableExecutionArn?: string } }) =>
      input.DurableExecutionArn
        ? executions.find(({ DurableExecutionArn: arn }) => arn === input.DurableExecutionArn)
        : {
            DurableExecutions: executions.filter(
              ({ StartTimestamp: start }) => start.getTime() > (input.StartedAfter?.getTime() ?? 0),
            ),
            Versions: [],
          },
  );
  try {
    const lambda = new LambdaClient({ region: 'eu-west-1' });
    const found = await lastRunsOf(lambda, 'shop-gc', new Date(NOW - 15 * DAY_MS));
    return found.map((run) => run?.report?.outcome ?? run?.status ?? '');
  } finally {
    send.mock.restore();
  }
}

test('the last run is told however long ago it was, and the last one before it that says how the job is', async () => {
  assert.deepEqual(await lastOf(), []);
  assert.deepEqual(await lastOf([1, 'succeeded'], [2, 'failed']), ['succeeded']);
  assert.deepEqual(await lastOf([0, 'RUNNING'], [1, 'failed']), ['RUNNING', 'failed']);
  assert.deepEqual(await lastOf([0, 'skipped'], [1, 'skipped'], [2, 'partial']), ['skipped', 'partial']);
  // A monthly job's, or that of one which is run by hand.
  assert.deepEqual(await lastOf([28, 'failed'], [59, 'succeeded']), ['failed']);
  assert.deepEqual(await lastOf([1, 'skipped'], [28, 'failed']), ['skipped', 'failed']);
  assert.deepEqual(await lastOf([1, 'skipped'], [28, 'skipped']), ['skipped']);
});
