/**
 * A second judge of the stand-in's durable executions: AWS's own local runner, by which the same bundle has the same histories, but for two
 * things. It skips time, so that what waits goes on in the invocation that it began in: when invocations end is left out. And with its
 * skipped time it does not come back from a step that is tried again after ten minutes, of which nothing is held against it.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DurableLambdaHandler } from '@aws/durable-execution-sdk-js';
import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import { takeForAws } from '../../../functions/loopback-aws.ts';
import { bundle, HISTORIES } from './durable-job.ts';

// Whatever is asked of it, as the bus answers.
takeForAws(
  createServer((request, response) => {
    request.resume().on('end', () => response.end('{"FailedEntryCount":0,"Entries":[{"EventId":"1"}]}'));
  }),
);
/** What is skipped has no timer that is real: without one the process would end in the middle. */
const alive = setInterval(() => {}, 60_000);
before(() => LocalDurableTestRunner.setupTestEnvironment({ skipTime: true }));
after(async () => {
  await LocalDurableTestRunner.teardownTestEnvironment();
  clearInterval(alive);
});

const isNoInvocation = (event: string) => event !== 'InvocationCompleted';

for (const mode of ['wait', 'condition'] as const)
  test(`${mode} has the same history by AWS's own runner`, async () => {
    const { handler }: { handler: DurableLambdaHandler } = await import(join(bundle, 'index.mjs'));
    const runner = new LocalDurableTestRunner({ handlerFunction: handler });
    const execution = await runner.run({ payload: { mode } });
    assert.equal(execution.getStatus(), 'SUCCEEDED');
    const events = execution.getHistoryEvents();
    assert.deepEqual(
      events.map(({ EventType, Name }) => [EventType, Name].filter(Boolean).join(' ')).filter(isNoInvocation),
      HISTORIES[mode].filter(isNoInvocation),
    );
  });
