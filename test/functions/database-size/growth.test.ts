import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { daysUntil, NOT_IN_SIGHT_DAYS, type Point } from '../../../functions/database-size/growth.ts';

const DAY = 24 * 3600 * 1000;
const NOW = Date.parse('2027-01-10T03:00:00Z');
const LIMIT = 10_000_000;

/** Rows of so many days ago. */
function ago(...points: [days: number, rows: number][]): Point[] {
  return points.map(([days, rows]) => ({ at: NOW - days * DAY, rows }));
}

const cases: { what: string; rows: number; history: Point[]; days: number | undefined }[] = [
  {
    what: 'the pace of the last seven days, whatever was before',
    rows: 5_000_000,
    history: ago([8, 1], [7, 1_500_000], [4, 4_900_000], [1, 4_500_000]),
    days: 10,
  },
  {
    what: 'the lowest point of a day, which is the one after garbage collection',
    rows: 4_000_000,
    history: ago([7, 3_300_000], [6.8, 3_950_000], [3, 3_600_000]),
    days: 60,
  },
  {
    what: 'the oldest day that is known, with two before today',
    rows: 3_000_000,
    history: ago([2, 1_000_000], [1, 2_900_000]),
    days: 7,
  },
  { what: 'nothing while fewer days are known', rows: 3_000_000, history: ago([1, 1]), days: undefined },
  {
    what: 'nothing for a run of today before',
    rows: 3_000_000,
    history: ago([0.1, 1], [0.2, 1]),
    days: undefined,
  },
  { what: 'nothing without history', rows: 3_000_000, history: [], days: undefined },
  { what: '0 at the limit, even without history', rows: LIMIT, history: [], days: 0 },
  {
    what: 'that it is not in sight, where the table shrinks',
    rows: 3_000_000,
    history: ago([7, 9_000_000], [3, 5_000_000]),
    days: NOT_IN_SIGHT_DAYS,
  },
  {
    what: 'that it is not in sight, where two estimates of one number may differ as much',
    rows: 3_000_000,
    history: ago([7, 2_950_000], [3, 3_010_000]),
    days: NOT_IN_SIGHT_DAYS,
  },
  {
    what: 'at most that it is not in sight',
    rows: 10,
    history: ago([7, 1], [3, 5]),
    days: NOT_IN_SIGHT_DAYS,
  },
];

describe('the days until a limit are told by', () => {
  for (const { what, rows, history, days } of cases)
    it(what, () => {
      const told = daysUntil(LIMIT, { at: NOW, rows }, history);
      assert.equal(told === undefined ? told : Math.round(told * 100) / 100, days);
    });

  it('a yesterday of an hour more or less, as schedules and daylight saving have it', () => {
    const history = ago([1.04, 2_000_000], [2.04, 1_000_000]);
    const told = daysUntil(LIMIT, { at: NOW, rows: 3_000_000 }, history);
    assert.ok(told !== undefined && told > 7 && told < 7.2);
  });
});
