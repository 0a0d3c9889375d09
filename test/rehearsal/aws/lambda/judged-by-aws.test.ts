/**
 * A second judge of the stand-in's durable executions: AWS's own local runner, by which the same bundle has the same histories, but for two
 * things. It skips time, so that what waits goes on in the invocation that it began in: when invocations end is left out. And with its
 * skipped time it does not come back from a step that is tried again after ten minutes, of which nothing is held against it.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
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
/** The history by AWS's runner. The timers that it puts in place of the real ones are there no longer than that: a test's end is told by them. */
async function judged(handler: DurableLambdaHandler, payload: object) {
  // What is skipped has no timer that is real: without one the process would end in the middle.
  const alive = setInterval(() => {}, 60_000);
  await LocalDurableTestRunner.setupTestEnvironment({ skipTime: true });
  try {
    const execution = await new LocalDurableTestRunner({ handlerFunction: handler }).run({ payload });
    return { status: execution.getStatus(), events: execution.getHistoryEvents() };
  } finally {
    await LocalDurableTestRunner.teardownTestEnvironment();
    clearInterval(alive);
  }
}

const isNoInvocation = (event: string) => event !== 'InvocationCompleted';

for (const mode of ['wait', 'condition'] as const)
  test(`${mode} has the same history by AWS's own runner`, async () => {
    const { handler }: { handler: DurableLambdaHandler } = await import(join(bundle, 'index.mjs'));
    const { status, events } = await judged(handler, { mode });
    assert.equal(status, 'SUCCEEDED');
    assert.deepEqual(
      events.map(({ EventType, Name }) => [EventType, Name].filter(Boolean).join(' ')).filter(isNoInvocation),
      HISTORIES[mode].filter(isNoInvocation),
    );
  });
