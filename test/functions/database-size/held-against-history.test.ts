import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { CloudWatchClient, type GetMetricDataCommandInput } from '@aws-sdk/client-cloudwatch';
import { believed, forecastOf } from '../../../functions/database-size/handler.ts';
import { contradictedBy } from '../../../functions/database-size/held-against-history.ts';

const DAY = 24 * 3600 * 1000;
const NOW = 100 * DAY;

/** A number that fell from 2.5 million, and which share of the file its rows take. */
function told(rows: number, rowsShare: number | undefined) {
  return {
    kind: 'estimate' as const,
    rows,
    atLeast: 0,
    atMost: 2 * rows,
    ...(rowsShare !== undefined && { rowsShare }),
  };
}

const BEFORE = [
  { at: NOW - 2 * DAY, rows: 300_000 },
  { at: NOW - DAY, rows: 2_500_000 },
  { at: NOW - 60 * DAY, rows: 9_000_000 },
];

test('a number that fell while the rows take their pages as ever is contradicted by the one before', () => {
  assert.match(
    contradictedBy(told(504_236, 0.85), BEFORE, NOW) ?? '',
    /tells 504236, and told 2500000 at 1970-04-10T00:00:00.000Z, .*\(85 % of its file\).* rolled back/,
  );
});

test('nothing is held against what was told of a file that was made anew since, as by OPTIMIZE TABLE', () => {
  const rows = told(504_236, 0.85);
  assert.equal(contradictedBy({ ...rows, madeAt: NOW - DAY / 2 }, BEFORE, NOW), undefined);
  assert.ok(contradictedBy({ ...rows, madeAt: NOW - 1.5 * DAY }, BEFORE, NOW));
});

test('a number that fell with its pages, or by no more than its error, is believed', () => {
  for (const rows of [
    told(504_236, 0.18),
    told(2_400_000, 0.85),
    told(1_100_000, 0.85),
    told(504_236, undefined),
  ])
    assert.equal(contradictedBy(rows, BEFORE, NOW), undefined);
  assert.equal(contradictedBy({ kind: 'unknown', reason: 'locked' }, BEFORE, NOW), undefined);
});

test('a number of long ago, or of now itself, contradicts nothing', () => {
  const long = [{ at: NOW - 4 * DAY, rows: 2_500_000 }];
  assert.equal(contradictedBy(told(504_236, 0.85), long, NOW), undefined);
  assert.equal(contradictedBy(told(504_236, 0.85), [{ at: NOW, rows: 2_500_000 }], NOW), undefined);
});

test('what MySQL tells is held against the metrics of its own set of the nights before, from when its file was made on', async () => {
  const now = Date.now();
  const dimensions = { deployment: 'shop', job: 'database-size', set: 'wa1' };
  const asked: GetMetricDataCommandInput[] = [];
  const send = mock.method(
    CloudWatchClient.prototype,
    'send',
    async ({ input }: { input: GetMetricDataCommandInput }) => {
      asked.push(input);
      const Timestamps = [1, 2, 3, 4].map((day) => new Date(now - day * DAY));
      return { MetricDataResults: [{ Id: 'm0', Timestamps, Values: Timestamps.map(() => 2_500_000) }] };
    },
  );
  const limit = { rows: 10_000_000, figure: 'daysUntilTenMillion', daysAhead: 14 };
  const bytes = { kind: 'unknown', reason: '' } as const;
  const rowsBelieved = async (madeAt: number, rows = told(504_236, 0.85)) => {
    const measured = { kind: 'told' as const, value: { database: 'wa1', rows: { ...rows, madeAt }, bytes } };
    const forecast = await forecastOf(limit, { measured, count: undefined }, 'messageRows', dimensions);
    const found = believed(measured, forecast);
    return found.kind === 'told' ? found.value.rows : found;
  };
  try {
    const rows = await rowsBelieved(now - 10 * DAY);
    assert.ok(rows.kind === 'unknown' && /tells 504236, and told 2500000 at /.test(rows.reason));
    assert.equal((await rowsBelieved(now - DAY / 2)).kind, 'estimate');
    assert.equal((await rowsBelieved(now - 10 * DAY, told(504_236, 0.18))).kind, 'estimate');
    const [query] = asked[0]?.MetricDataQueries ?? [];
    const { MetricName, Dimensions = [] } = query?.MetricStat?.Metric ?? {};
    assert.equal(MetricName, 'MessageRows');
    assert.deepEqual(Object.fromEntries(Dimensions.map(({ Name, Value }) => [Name, Value])), dimensions);
  } finally {
    send.mock.restore();
  }
});
