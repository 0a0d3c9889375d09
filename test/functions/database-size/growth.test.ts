// In one file though long: a table, each series a few lines of it.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import {
  type Forecast,
  forecast,
  type Moment,
  NOT_IN_SIGHT_DAYS,
} from '../../../functions/database-size/growth.ts';
import type { Point } from '../../../functions/database-size/pace.ts';

const DAY = 24 * 3600 * 1000;
const HOUR = DAY / 24;
const START = Date.parse('2027-01-01T03:00:00Z');
const LIMIT = 10_000_000;
const AHEAD = 14;
const MILLION = 1_000_000;

/** A table's life, one value a day. */
interface Series {
  what: string;
  /** The true rows on a day. */
  rows: (day: number) => number;
  /** What is told of a day; nothing if it is a gap. @default the truth, counted */
  told?: (truth: number, day: number) => { rows: number; margin: number } | undefined;
  /** Besides, somebody starts the job by hand on that day at 19 o'clock, when there are so many rows more. */
  evening?: { days: (day: number) => boolean; more: number };
  days: number;
  /** Days of warning before the limit, at the least; `false`: it must not warn on any day. */
  warned: number | false;
  /** The day from which on its habits can be known. @default the first */
  known?: number;
}

/** A random number of a seed: the same in each run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

/** The servers' estimates: wrong by so much either way. */
function estimated(share: number, seed = 1): NonNullable<Series['told']> {
  const random = randomOf(seed);
  return (truth) => {
    const rows = Math.round(truth * (1 + share * (2 * random() - 1)));
    return { rows, margin: rows * 2 };
  };
}

const exactly: NonNullable<Series['told']> = (truth) => ({ rows: truth, margin: 0 });
const wave = (day: number) => Math.sin((2 * Math.PI * day) / 7);
const WORKING_DAYS = [1, 1, 1, 1, 1, -2, -3];
const weekdays = (day: number) => WORKING_DAYS.slice(0, day % 7).reduce((sum, step) => sum + step, 0);

/** Where 14 days of warning are to be had. */
const MOST = 12;

const SERIES: Series[] = [
  // Steady growth.
  { what: '9.5 million, 28,000 a day', rows: (d) => 9.5 * MILLION + 28_000 * d, days: 30, warned: MOST },
  { what: '9.66 million, 27,000 a day', rows: (d) => 9.66 * MILLION + 27_000 * d, days: 30, warned: MOST },
  ...[20_000, 50_000, 75_000, 100_000, 150_000, 250_000, 400_000].map((pace) => ({
    what: `from 14 days and a half-month before the limit, ${pace} a day`,
    rows: (d: number) => LIMIT - 29 * pace + pace * d,
    days: 30,
    warned: MOST,
  })),
  ...[50_000, 100_000, 250_000].map((pace, index) => ({
    what: `estimated within 2 %, ${pace} a day`,
    rows: (d: number) => LIMIT - 40 * pace + pace * d,
    told: estimated(0.02, index + 2),
    days: 40,
    warned: MOST,
  })),
  ...[100_000, 200_000].map((pace, index) => ({
    what: `estimated within 4 %, ${pace} a day`,
    rows: (d: number) => LIMIT - 40 * pace + pace * d,
    told: estimated(0.04, index + 7),
    days: 40,
    warned: MOST,
  })),
  {
    what: 'a new deployment of 8 million, 120,000 a day',
    rows: (d) => 8 * MILLION + 120_000 * d,
    days: 17,
    warned: MOST,
  },
  { what: 'growth that quickens', rows: (d) => 5 * MILLION + 3_500 * d * d, days: 38, warned: 10 },
  // Flat.
  ...[0, 1, 8, 8.9].map((millions) => ({
    what: `flat at ${millions} million, counted`,
    rows: () => millions * MILLION,
    days: 60,
    warned: false as const,
  })),
  ...[0.02, 0.04].flatMap((share, index) =>
    [3, 6, 8.5].map((millions) => ({
      what: `flat at ${millions} million, estimated within ${share * 100} %`,
      rows: () => millions * MILLION,
      told: estimated(share, 11 + index),
      days: 60,
      warned: false as const,
    })),
  ),
  {
    what: 'flat at 4 million, where MariaDB’s number is half until it looks again',
    rows: () => 4 * MILLION,
    told: (truth, day) => ({ rows: Math.floor(day / 9) % 2 ? truth / 2 : truth, margin: truth }),
    days: 60,
    warned: false,
  },
  { what: 'shrinking', rows: (d) => 8 * MILLION - 50_000 * d, days: 60, warned: false },
  { what: 'slow growth far from the limit', rows: (d) => 2 * MILLION + 10_000 * d, days: 60, warned: false },
  // Weekly waves.
  {
    what: 'a weekly wave of 10 % about 6 million',
    rows: (d) => 6 * MILLION * (1 + 0.1 * wave(d)),
    days: 60,
    warned: false,
  },
  {
    what: 'a weekly wave of 5 % about 8.4 million',
    rows: (d) => 8.4 * MILLION * (1 + 0.05 * wave(d + 2)),
    days: 60,
    warned: false,
  },
  {
    what: 'a weekly wave of 20 % about 3 million',
    rows: (d) => 3 * MILLION * (1 + 0.2 * wave(d + 4)),
    days: 60,
    warned: false,
  },
  {
    what: 'working days about 4 million',
    rows: (d) => 4 * MILLION + 100_000 * weekdays(d),
    days: 60,
    warned: false,
  },
  {
    what: 'a weekly wave upon 100,000 a day',
    rows: (d) => 5 * MILLION + 100_000 * d + 300_000 * wave(d),
    days: 50,
    warned: MOST,
  },
  {
    what: 'working days upon 70,000 a day',
    rows: (d) => 6 * MILLION + 70_000 * d + 60_000 * weekdays(d),
    days: 57,
    warned: MOST,
  },
  // Garbage collection that is not nightly.
  {
    what: 'garbage collection once a week, from 7.6 to 6 million',
    rows: (d) => 6 * MILLION + 230_000 * ((d + 3) % 7),
    days: 60,
    warned: false,
  },
  {
    what: 'garbage collection each fifth night, from 5.2 to 4 million, estimated',
    rows: (d) => 4 * MILLION + 300_000 * (d % 5),
    told: estimated(0.02, 21),
    days: 60,
    warned: false,
  },
  {
    what: 'a weekly wave, and garbage collection each third night',
    rows: (d) => 5 * MILLION + 400_000 * (d % 3) + 500_000 * wave(d),
    days: 60,
    warned: false,
  },
  {
    what: 'garbage collection once a week upon 90,000 a day',
    rows: (d) => 4 * MILLION + 90_000 * d + 250_000 * (d % 7),
    days: 60,
    warned: MOST,
  },
  {
    what: 'garbage collection each tenth night upon 92,000 a day',
    rows: (d) => 3.2 * MILLION + 92_000 * d + 300_000 * (d % 10),
    days: 60,
    warned: MOST,
  },
  {
    what: 'slow growth with a weekly wave that takes it below nine million again',
    rows: (d) => 8.24 * MILLION + 44_000 * d + 1.2 * MILLION * (wave(d) - 1),
    days: 80,
    warned: MOST,
  },
  // Changes of pace.
  {
    what: 'flat, then 1.5 million a day',
    rows: (d) => 2 * MILLION + Math.max(0, d - 20) * 1.5 * MILLION,
    days: 26,
    warned: 3,
  },
  {
    what: 'flat, then 300,000 a day',
    rows: (d) => 4 * MILLION + Math.max(0, d - 20) * 300_000,
    days: 40,
    warned: MOST,
  },
  {
    what: 'a garbage collection from 9 to 1 million, then a million a day',
    rows: (d) => (d < 15 ? 8 * MILLION + 60_000 * d : MILLION * (d - 14)),
    days: 24,
    warned: 6,
  },
  {
    what: 'a garbage collection from 8 to 2 million, then 250,000 a day',
    rows: (d) => (d < 15 ? 8 * MILLION : 2 * MILLION + 250_000 * (d - 15)),
    days: 47,
    warned: MOST,
  },
  {
    what: 'a garbage collection from 8 to 5 million, then 250,000 a day',
    rows: (d) => (d < 15 ? 8 * MILLION : 5 * MILLION + 250_000 * (d - 15)),
    days: 35,
    warned: MOST,
  },
  // Holidays.
  {
    what: 'a week of holidays in a weekly wave about 6 million',
    rows: (d) => 6 * MILLION * (1 + 0.1 * wave(d)) * (d >= 40 && d < 48 ? 0.7 : 1),
    days: 80,
    warned: false,
  },
  {
    what: 'four days of holidays, which come and go by halves, in working days about 5 million, estimated',
    rows: (d) => (5 * MILLION + 200_000 * weekdays(d)) * ([0.8, 0.6, 0.6, 0.8][d - 40] ?? 1),
    told: estimated(0.01, 31),
    days: 80,
    warned: false,
  },
  {
    what: 'a week of holidays upon 100,000 a day',
    rows: (d) => (5 * MILLION + 100_000 * d) * (d >= 18 && d < 25 ? 0.75 : 1),
    days: 50,
    warned: MOST,
  },
  {
    what: 'drops by a third each ten days',
    rows: (d) => 4 * MILLION + 60_000 * (d % 10),
    days: 60,
    warned: false,
  },
  {
    what: 'a restore from 2 to 6 million, flat',
    rows: (d) => (d < 20 ? 2 : 6) * MILLION,
    days: 60,
    warned: false,
  },
  {
    what: 'a restore from 1 to 8 million, estimated',
    rows: (d) => (d < 14 ? 1 : 8) * MILLION,
    told: estimated(0.02, 5),
    days: 60,
    warned: false,
  },
  {
    what: 'one night’s import of two million',
    rows: (d) => (d < 25 ? 4 : 6) * MILLION + 1_000 * d,
    days: 60,
    warned: false,
  },
  {
    what: 'an import each month, of which each day a part is deleted, in its third and fourth month',
    rows: (d) => 5 * MILLION * (1 + 0.4 * (1 - (d % 30) / 30)),
    days: 119,
    warned: false,
    known: 70,
  },
  { what: 'a set added: few days, flat', rows: () => 7 * MILLION, days: 5, warned: false },
  // Gaps.
  {
    what: 'known each fourth day, 100,000 a day',
    rows: (d) => 6 * MILLION + 100_000 * d,
    told: (truth, day) => (day % 4 === 0 ? exactly(truth, day) : undefined),
    days: 40,
    warned: MOST,
  },
  {
    what: 'known each second day, 100,000 a day',
    rows: (d) => 6 * MILLION + 100_000 * d,
    told: (truth, day) => (day % 2 === 0 ? exactly(truth, day) : undefined),
    days: 40,
    warned: MOST,
  },
  {
    what: 'a week unknown, 120,000 a day',
    rows: (d) => 5 * MILLION + 120_000 * d,
    told: (truth, day) => (day > 12 && day < 20 ? undefined : exactly(truth, day)),
    days: 42,
    warned: MOST,
  },
  // Sources mixed.
  {
    what: 'counted on Mondays, estimated 2 % off on other days, 100,000 a day',
    rows: (d) => 5 * MILLION + 100_000 * d,
    told: (truth, day) => (day % 7 === 0 ? exactly(truth, day) : { rows: truth * 0.98, margin: truth }),
    days: 50,
    warned: MOST,
  },
  {
    what: 'counted on Mondays, estimated 10 % off on other days, flat at 6 million',
    rows: () => 6 * MILLION,
    told: (truth, day) => (day % 7 === 0 ? exactly(truth, day) : { rows: truth * 0.9, margin: truth }),
    days: 60,
    warned: false,
  },
  // Evenings.
  {
    what: 'flat at night, by hand in the evening of day 30 with two million more',
    rows: () => 6 * MILLION,
    evening: { days: (d) => d === 30, more: 2 * MILLION },
    days: 60,
    warned: false,
  },
  {
    what: 'flat at night, by hand in three evenings on end with two million more',
    rows: () => 5 * MILLION,
    evening: { days: (d) => d >= 30 && d < 33, more: 2 * MILLION },
    days: 60,
    warned: false,
  },
  {
    what: '100,000 a day, and by hand in each evening',
    rows: (d) => 5 * MILLION + 100_000 * d,
    evening: { days: () => true, more: 600_000 },
    days: 50,
    warned: MOST,
  },
];

interface Played {
  /** Days before the limit from which on the alarm rang without a pause. */
  warnedBefore: number;
  /** Days with an alarm, of a series that never comes near the limit. */
  falseDays: number[];
}

/** Plays a series day by day, as the alarm sees it: it keeps its state while nothing is told. */
function play({ rows, told = exactly, evening, days, known = 0 }: Series): Played {
  const history: Point[] = [];
  const rings: boolean[] = [];
  let ringing = false;
  const tell = ({ rows, ...moment }: Moment) => {
    const made = forecast(LIMIT, { ...moment, ...(rows !== undefined && { rows }) }, history, AHEAD);
    if (made.kind === 'made') ringing = made.days <= AHEAD;
    if (rows !== undefined) history.push({ ...moment, rows });
  };
  for (let day = 0; day < days; day++) {
    const value = told(Math.round(rows(day)), day);
    // Each night at another minute.
    tell({ at: START + day * DAY + ((day * 7) % 40) * 60_000, ...value });
    let rang = ringing;
    if (evening?.days(day)) {
      tell({ at: START + day * DAY + 16 * HOUR, rows: Math.round(rows(day)) + evening.more, margin: 0 });
      rang ||= ringing;
    }
    rings.push(rang);
  }
  let limitDay = 0;
  while (rows(limitDay) < LIMIT && limitDay < 400) limitDay++;
  const lastQuiet = rings.slice(0, limitDay).lastIndexOf(false);
  return {
    warnedBefore: limitDay < 400 ? limitDay - lastQuiet - 1 : 0,
    falseDays: rings.flatMap((rang, day) => (rang && day >= known ? [day] : [])),
  };
}

describe('the alarm before ten million rows', () => {
  const table: string[] = [];
  after(() => console.log(table.join('\n')));

  it('is tried on forty series and more', () => assert.ok(SERIES.length >= 40, String(SERIES.length)));

  for (const series of SERIES)
    it(`${series.warned === false ? 'is silent for' : `warns ${series.warned} days before, at the least, for`} ${series.what}`, () => {
      const { warnedBefore, falseDays } = play(series);
      if (series.warned === false) {
        table.push(`  ${String(falseDays.length).padStart(3)} false days            ${series.what}`);
        assert.deepEqual(falseDays, []);
      } else {
        table.push(`  warned ${String(warnedBefore).padStart(3)} days before   ${series.what}`);
        assert.ok(warnedBefore >= series.warned, `${warnedBefore} days before`);
      }
    });
});

describe('a forecast', () => {
  const ago = (...points: [days: number, rows: number][]): Point[] =>
    points.map(([days, rows]) => ({ at: START - days * DAY, rows, margin: 0 }));
  const at = (rows: number, history: Point[]): Forecast =>
    forecast(LIMIT, { at: START, rows, margin: 0 }, history, AHEAD);

  it('is 0 at the limit, even without history', () =>
    assert.deepEqual(at(LIMIT, []), { kind: 'made', days: 0, perDay: 0 }));

  it('tells no more than the alarm’s days within a tenth of the limit, whatever the pace', () => {
    assert.deepEqual(at(9_000_000, []), { kind: 'made', days: AHEAD, perDay: 0 });
    assert.deepEqual(at(9_000_000, ago([1, 9_000_000], [2, 9_000_000])), {
      kind: 'made',
      days: AHEAD,
      perDay: 0,
    });
  });

  it('cannot be made of two days, and tells since when it could not', () => {
    assert.deepEqual(at(5, ago([4, 4])), { kind: 'too-few-days', days: 2, sinceDays: 4 });
    assert.deepEqual(at(5, []), { kind: 'too-few-days', days: 1, sinceDays: 0 });
  });

  it('goes on while the rows are unknown, up to a week, and says of when it is', () => {
    const history = ago(
      ...Array.from({ length: 10 }, (_, day) => [day + 2, 8_000_000 - 100_000 * day] as [number, number]),
    );
    assert.deepEqual(forecast(LIMIT, { at: START }, history, AHEAD), {
      kind: 'made',
      days: 18,
      perDay: 100_000,
      asOf: START - 2 * DAY,
    });
    assert.deepEqual(forecast(LIMIT, { at: START + 6 * DAY }, history, AHEAD), { kind: 'too-old' });
    assert.deepEqual(forecast(LIMIT, { at: START }, [], AHEAD), { kind: 'too-old' });
  });

  it('is not ended by one value that errs', () => {
    const history = ago(
      ...Array.from({ length: 14 }, (_, day) => [day + 1, 8_700_000 - 100_000 * day] as [number, number]),
    );
    const after = forecast(LIMIT, { at: START, rows: 8_000_000, margin: 0 }, history, AHEAD);
    assert.ok(after.kind === 'made' && after.days <= AHEAD, JSON.stringify(after));
  });

  it('says that the limit is not in sight where nothing grows', () =>
    assert.deepEqual(at(5, ago([1, 5], [2, 5], [3, 5])), {
      kind: 'made',
      days: NOT_IN_SIGHT_DAYS,
      perDay: 0,
    }));
});
