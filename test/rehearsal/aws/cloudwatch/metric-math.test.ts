import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type MathInput,
  parseMetricMath,
  type Series,
  UnknownMetricMath,
} from '../../../../rehearsal/aws/cloudwatch/metric-math.ts';

const _ = undefined;
const inputs = new Map<string, MathInput>([
  ['a', { series: [1, _, 3], exists: true }],
  ['b', { series: [10, 20, _], exists: true }],
  ['never', { series: [_, _, _], exists: false }],
]);

/** Hours from the last of a Sunday on. */
const range = { start: Date.parse('2026-11-29T23:30:00Z'), period: 3_600_000 };

const cases: [expression: string, result: Series][] = [
  ['a', [1, _, 3]],
  ['a + b', [11, 20, 3]],
  ['a - never', [1, _, 3]],
  ['2 * a - 1', [1, _, 5]],
  ['2 + 3 * 4 ^ 2', [50, 50, 50]],
  ['-(a)', [-1, _, -3]],
  ['FILL(a, 0)', [1, 0, 3]],
  ['FILL(a, REPEAT)', [1, 1, 3]],
  ['FILL(never, 0)', [_, _, _]],
  ['FILL(a, 0) + FILL(b, 0)', [11, 20, 3]],
  ['SUM([a, b])', [11, 20, 3]],
  ['MAX([a, b])', [10, 20, 3]],
  ['SUM(a)', [4, 4, 4]],
  ['SUM([a, -never])', [1, _, 3]],
  ['IF(a > 1, b, 7)', [7, _, 0]],
  ['IF(a > 1, 7, never)', [_, _, 7]],
  ['FILL(a, 0) < 1 || a == 3', [0, 1, 1]],
  ['b / a', [10, _, 0]],
  ['a >= 1 AND a < 3', [1, _, 0]],
  ['DAY(a)', [7, 1, 1]],
  ['HOUR(never)', [23, 0, 1]],
  ['EPOCH(never) - MAX(EPOCH(a))', [-7200, -3600, 0]],
  ['IF(EPOCH(a) <= MAX(EPOCH(a)) - 3600, SUM([a]), 0)', [1, 0, 0]],
  ['FILL(IF(DAY(never) == 1, never, 1), 0)', [1, 0, 0]],
];

for (const [expression, result] of cases) {
  test(`computes ${expression}`, () => {
    const parsed = parseMetricMath(expression);
    assert.deepEqual(parsed.evaluate(inputs, range), result);
  });
}

for (const expression of ['ANOMALY_DETECTION_BAND(a)', 'a +', 'SUM(METRICS())', 'a ? b', 'Upper', '']) {
  test(`stops at "${expression}"`, () => {
    assert.throws(() => parseMetricMath(expression).evaluate(inputs, range), UnknownMetricMath);
  });
}
