import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { before, test } from 'node:test';
import { takeForAws } from '../../loopback-aws.ts';

const began = { EventType: 'StepStarted' };
const endedBy = (ErrorType: string, ErrorMessage: string) => ({
  EventType: 'InvocationCompleted',
  InvocationCompletedDetails: {
    StartTimestamp: 1,
    EndTimestamp: 2,
    Error: { Payload: { ErrorType, ErrorMessage } },
  },
});
const crashed = endedBy('Runtime.ExitError', 'signal: killed');
const throttled = endedBy('CheckpointUnrecoverableInvocationError', 'Checkpoint failed: Rate exceeded');
const notLoaded = endedBy('TooManyRequestsException', 'Rate exceeded');

/** The newest first, as Lambda is asked. */
let events: object[] = [];
const lambda = createServer((request, response) => {
  const { searchParams: asked } = new URL(request.url ?? '', 'http://lambda');
  const from = Number(asked.get('Marker') ?? 0);
  const next = from + Number(asked.get('MaxItems') ?? 100);
  response.writeHead(200, { 'content-type': 'application/json' });
  const marker = next < events.length ? { NextMarker: String(next) } : {};
  response.end(JSON.stringify({ Events: events.slice(from, next), ...marker }));
});
let failedInvocations: typeof import('../../../../functions/shared/run/failed-invocations.ts').failedInvocations;

takeForAws(lambda);
before(async () => {
  ({ failedInvocations } = await import('../../../../functions/shared/run/failed-invocations.ts'));
});

const ARN = 'arn:aws:lambda:eu-central-1:111111111111:function:f:7/durable-execution/n/1';

test('tries that begin more at once than a page of the history holds are counted', async () => {
  // Each try began 150 things, and ended.
  events = Array.from({ length: 3 }, () => [crashed, ...Array(150).fill(began)]).flat();
  assert.equal((await failedInvocations(ARN)).count, 3);
});

test('an invocation that ended because Lambda throttled what it recorded or read is no try that failed', async () => {
  events = Array.from({ length: 5 }, () => [throttled, began, notLoaded]).flat();
  assert.deepEqual(await failedInvocations(ARN), {
    count: 0,
    error: '',
    // Of a run that ends so, the alarm on crashes has told since.
    since: new Date(1000),
    goesFurtherBack: false,
  });
  events = [throttled, crashed, began, notLoaded, crashed, { EventType: 'StepSucceeded' }, crashed];
  const { count, error } = await failedInvocations(ARN);
  assert.deepEqual([count, error], [2, 'Runtime.ExitError: signal: killed']);
});
