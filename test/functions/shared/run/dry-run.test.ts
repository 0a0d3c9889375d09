import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { withDurableExecution } from '@aws/durable-execution-sdk-js';
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import type { RunReport } from '../../../../functions/shared/run/report.ts';
import { runJob } from '../../../../functions/shared/run/run-job.ts';
import { takeForAws } from '../../loopback-aws.ts';

// Whatever is asked of it, as the bus answers.
takeForAws(
  createServer((request, response) => {
    request.resume().on('end', () => response.end('{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}'));
  }),
);
before(() => LocalDurableTestRunner.setupTestEnvironment());
after(() => LocalDurableTestRunner.teardownTestEnvironment());

const EVENT = {
  job: 'reindex',
  deployment: 'shop',
  runId: 'shop.reindex.1',
  scheduledFor: '2027-01-10T02:00:00.000Z',
  endBy: '2999-01-10T04:00:00.000Z',
};

const done: string[] = [];

/** What a run reports of a procedure, and of its dry run if it has one. */
async function reported(dryRun: unknown, hasDryRun: boolean): Promise<RunReport> {
  const handler = withDurableExecution((event: unknown, context) =>
    runJob(
      event,
      context,
      async () => {
        done.push('work');
        return { outcome: 'succeeded', figures: {}, problems: [] };
      },
      undefined,
      hasDryRun ? async () => ({ outcome: 'succeeded', figures: { articles: 3 }, problems: [] }) : undefined,
    ),
  );
  const runner = new LocalDurableTestRunner<RunReport>({ handlerFunction: handler });
  const execution = await runner.run({ payload: { ...EVENT, options: { dryRun } } });
  const report = execution.getResult();
  assert.ok(report);
  return report;
}

test('a dry run takes the procedure’s place, and is skipped whatever it says', async () => {
  const { outcome, figures } = await reported(true, true);
  assert.deepEqual([outcome, figures, done], ['skipped', { articles: 3 }, []]);
});

test('a job without a dry run does nothing in one, and says so', async () => {
  const { outcome, problems } = await reported(true, false);
  assert.equal(outcome, 'skipped');
  assert.equal(problems[0]?.what, 'reindex has no dry run: nothing was done.');
  assert.deepEqual(done, []);
});

test('without the option the procedure works', async () => {
  assert.equal((await reported(false, false)).outcome, 'succeeded');
  assert.deepEqual(done, ['work']);
});
