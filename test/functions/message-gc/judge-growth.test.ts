import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type EarlierRun,
  type Growth,
  judgeGrowth,
  type RowRange,
} from '../../../functions/message-gc/judge-growth.ts';

const DAY = 24 * 3600 * 1000;
const NOW = Date.parse('2027-01-10T03:00:00Z');

/** As wrong as the estimates of an engine may be: by a factor either way. */
function estimate(rows: number, factor: number): RowRange {
  return { rows, atLeast: rows / factor, atMost: rows * factor };
}

/** Nights one after the other, the last one today: rows before and after, and what the callbacks said was deleted. */
function judged(
  factor: number,
  nights: (
    | { before: number; after: number; deleted?: number; failed?: true }
    | { unknown: true; deleted?: number }
  )[],
): Growth {
  const runs = nights.map((night, index) => ({ night, at: NOW - (nights.length - 1 - index) * DAY }));
  const history = runs.slice(0, -1).map(({ night, at }): EarlierRun => {
    const { deleted = 0 } = night;
    if ('unknown' in night) return { at, deleted };
    const { before, after, failed } = night;
    return { at, deleted, before, after, ...(!failed && { atMost: estimate(before, factor).atMost }) };
  });
  const today = nights.at(-1);
  assert.ok(today && 'before' in today);
  // In no order, as CloudWatch may tell them.
  return judgeGrowth(history.toReversed(), {
    deleted: today.deleted ?? 0,
    before: estimate(today.before, factor),
    after: estimate(today.after, factor),
  });
}

const POSTGRES = 1.2;
const INNODB = 3;

const cases: { what: string; factor: number; nights: Parameters<typeof judged>[1]; kind: Growth['kind'] }[] =
  [
    {
      what: 'three nights that say complete and delete nothing, while rows grow',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1000 },
        { before: 1200, after: 1200 },
        { before: 1500, after: 1500 },
      ],
      kind: 'without-effect',
    },
    {
      what: 'two such nights',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1000 },
        { before: 1500, after: 1500 },
      ],
      kind: 'too-few-runs',
    },
    {
      what: 'three nights whose growth two estimates of one number could tell',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1000 },
        { before: 1100, after: 1100 },
        { before: 1190, after: 1190 },
      ],
      kind: 'steady',
    },
    {
      what: 'the noise of MariaDB, which told half of the rows after many were deleted, until it looked anew',
      factor: INNODB,
      nights: [
        { before: 2_409_231, after: 146_927, deleted: 2_250_000 },
        { before: 120_589, after: 120_589 },
        { before: 120_589, after: 120_589 },
        { before: 120_589, after: 137_000 },
        { before: 258_000, after: 258_000 },
      ],
      kind: 'steady',
    },
    {
      what: 'more than that noise, on MySQL and MariaDB',
      factor: INNODB,
      nights: [
        { before: 120_589, after: 120_589 },
        { before: 250_000, after: 250_000 },
        { before: 390_000, after: 390_000 },
      ],
      kind: 'without-effect',
    },
    {
      what: 'slow growth, once it is beyond the error after many nights',
      factor: POSTGRES,
      nights: Array.from({ length: 12 }, (_, night) => ({
        before: 1000 * 1.03 ** night,
        after: 1000 * 1.03 ** night,
      })),
      kind: 'without-effect',
    },
    {
      what: 'three good nights',
      factor: POSTGRES,
      nights: [
        { before: 2000, after: 100, deleted: 1900 },
        { before: 2100, after: 100, deleted: 2000 },
        { before: 2000, after: 90, deleted: 1910 },
      ],
      kind: 'steady',
    },
    {
      what: 'more messages than garbage collection deletes',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 900, deleted: 100 },
        { before: 1500, after: 1400, deleted: 100 },
        { before: 2000, after: 1900, deleted: 100 },
      ],
      kind: 'outpaced',
    },
    {
      what: 'so few deleted messages that the rows need not show them',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1010, deleted: 5 },
        { before: 1200, after: 1210, deleted: 5 },
        { before: 1500, after: 1510, deleted: 5 },
      ],
      kind: 'outpaced',
    },
    {
      what: 'callbacks of deleted messages, by which the rows never fall though they would have to',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1000, deleted: 900 },
        { before: 1200, after: 1200, deleted: 900 },
        { before: 1500, after: 1500, deleted: 900 },
      ],
      kind: 'without-effect',
    },
    {
      what: 'a deletion after which too few nights have come',
      factor: POSTGRES,
      nights: [
        { before: 9000, after: 1000, deleted: 8000 },
        { before: 1000, after: 1000 },
        { before: 1500, after: 1500 },
      ],
      kind: 'steady',
    },
    {
      what: 'a deletion of tonight, after nights without',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1000 },
        { before: 1200, after: 1200 },
        { before: 3000, after: 1500, deleted: 1500 },
      ],
      kind: 'outpaced',
    },
    {
      what: 'nights in between that failed: their callbacks did not say complete',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1000 },
        { before: 1200, after: 1200, failed: true },
        { before: 1500, after: 1500 },
      ],
      kind: 'too-few-runs',
    },
    {
      what: 'a failed night in between that deleted some nonetheless',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1000 },
        { before: 1100, after: 1100 },
        { before: 1200, after: 1150, deleted: 50, failed: true },
        { before: 1500, after: 1500 },
      ],
      kind: 'outpaced',
    },
    {
      what: 'a night in between of which the rows are unknown',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1000 },
        { unknown: true },
        { before: 1200, after: 1200 },
        { before: 1500, after: 1500 },
      ],
      kind: 'without-effect',
    },
    {
      what: 'a night of which the rows are unknown, and the callbacks told of deleted messages',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1000 },
        { before: 1100, after: 1100 },
        { unknown: true, deleted: 10 },
        { before: 1500, after: 1500 },
      ],
      kind: 'outpaced',
    },
    {
      what: 'one night’s import, or a restore, between nights without growth',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1000 },
        { before: 1005, after: 1005 },
        { before: 9000, after: 9000 },
        { before: 9010, after: 9010 },
      ],
      kind: 'steady',
    },
    {
      what: 'a restore, when callbacks told of deleted messages',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 900, deleted: 100 },
        { before: 1000, after: 900, deleted: 100 },
        { before: 1000, after: 900, deleted: 100 },
        { before: 9000, after: 8900, deleted: 100 },
      ],
      kind: 'steady',
    },
    {
      what: 'growth after an import, that goes on',
      factor: POSTGRES,
      nights: [
        { before: 1000, after: 1000 },
        { before: 9000, after: 9000 },
        { before: 10_500, after: 10_500 },
        { before: 12_000, after: 12_000 },
        { before: 13_500, after: 13_500 },
      ],
      kind: 'without-effect',
    },
    {
      what: 'a table that is empty all the time',
      factor: POSTGRES,
      nights: [
        { before: 0, after: 0 },
        { before: 0, after: 0 },
        { before: 0, after: 0 },
      ],
      kind: 'steady',
    },
  ];

describe('the growth over the last runs of message-gc is', () => {
  for (const { what, factor, nights, kind } of cases)
    it(`${kind} with ${what}`, () => assert.equal(judged(factor, nights).kind, kind));

  it('told with the run from which on nothing was deleted, and what it had', () => {
    assert.deepEqual(
      judged(POSTGRES, [
        { before: 900, after: 100, deleted: 800 },
        { before: 1000, after: 1000, deleted: 0 },
        { before: 1200, after: 1200, deleted: 900 },
        { before: 1500, after: 1500, deleted: 0 },
      ]),
      {
        kind: 'without-effect',
        since: { at: new Date(NOW - 2 * DAY).toISOString(), runs: 3, rows: 1000, atMost: 1200 },
        deleted: 900,
      },
    );
  });

  it('not told by a number whose error has no bound', () => {
    const earlier = { at: NOW - 2 * DAY, deleted: 0, before: 1000, after: 1000 };
    const second = { ...earlier, at: NOW - DAY, before: 5000, after: 5000, atMost: 6000 };
    const now = { deleted: 0, before: estimate(9000, POSTGRES), after: estimate(9000, POSTGRES) };
    const wide = { rows: 9000, atLeast: 0, atMost: 1_000_000 };
    const judge = (atMost: number, after: RowRange) =>
      judgeGrowth([{ ...earlier, atMost }, second], { ...now, after }).kind;
    assert.equal(judge(1200, now.after), 'without-effect');
    assert.equal(judge(1_000_000, now.after), 'steady');
    assert.equal(judge(1200, wide), 'steady');
  });
});
