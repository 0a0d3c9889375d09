import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

const began = { EventType: 'StepStarted' };
const crashed = {
  EventType: 'InvocationCompleted',
  InvocationCompletedDetails: {
    StartTimestamp: 1,
    EndTimestamp: 2,
    Error: { Payload: { ErrorType: 'Runtime.ExitError', ErrorMessage: 'signal: killed' } },
  },
};

test('tries that begin more at once than a page of the history holds are counted', async () => {
  // The newest first, as Lambda is asked: each try began 150 things, and ended.
  const events = Array.from({ length: 3 }, () => [crashed, ...Array(150).fill(began)]).flat();
  const lambda = createServer((request, response) => {
    const from = Number(new URL(request.url ?? '', 'http://lambda').searchParams.get('Marker') ?? 0);
    const next = from + 100;
    response.writeHead(200, { 'content-type': 'application/json' });
    const marker = next < events.length ? { NextMarker: String(next) } : {};
    response.end(JSON.stringify({ Events: events.slice(from, next), ...marker }));
  });
  await new Promise<void>((resolve) => lambda.listen(0, '127.0.0.1', resolve));
  const address = lambda.address();
  assert.ok(address && typeof address === 'object');
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: `http://127.0.0.1:${address.port}`,
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  });
  try {
    const { failedInvocations } = await import('../../../../functions/shared/run/failed-invocations.ts');
    const { count } = await failedInvocations(
      'arn:aws:lambda:eu-central-1:111111111111:function:f:7/durable-execution/n/1',
    );
    assert.equal(count, 3);
  } finally {
    lambda.closeAllConnections();
    lambda.close();
  }
});
