import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudWatchClient, type MetricDataResult } from '@aws-sdk/client-cloudwatch';
import { databaseTraffic, trafficOf } from '../../../../functions/shared/run/traffic.ts';

const at = (hour: number) => new Date(Date.UTC(2026, 10, 2, hour));

function told(...pages: MetricDataResult[]) {
  const answers = pages.map((page, index) => ({
    MetricDataResults: [{ Label: 'NetworkReceiveThroughput', ...page }],
    ...(index < pages.length - 1 && { NextToken: String(index) }),
  }));
  const client: CloudWatchClient = Object.assign(Object.create(CloudWatchClient.prototype), {
    send: async () => answers.shift(),
  });
  return trafficOf(client, databaseTraffic('shop'), { from: 0, to: 1 });
}

test('what CloudWatch could not read of a metric is an error, and not a time in which nothing came', async () => {
  const first: MetricDataResult = { StatusCode: 'PartialData', Timestamps: [at(1)], Values: [1000] };
  const whole = await told(first, { StatusCode: 'Complete', Timestamps: [at(2)], Values: [2000] });
  assert.deepEqual(
    whole.map(({ requests }) => requests),
    [900, 1800],
  );
  await assert.rejects(
    told(first, { StatusCode: 'InternalError', Messages: [{ Code: 'InternalError', Value: 'Try again.' }] }),
    /CloudWatch could not tell NetworkReceiveThroughput \(InternalError\): Try again\./,
  );
  await assert.rejects(told({ StatusCode: 'Forbidden' }), /\(Forbidden\)$/);
});
