import assert from 'node:assert/strict';
import { it } from 'node:test';
import { forecast, type Moment } from '../../../functions/database-size/growth.ts';
import type { Point } from '../../../functions/database-size/pace.ts';

const DAY = 24 * 3600 * 1000;
const HOUR = DAY / 24;
const START = Date.parse('2027-03-01T02:00:00Z');
const LIMIT = 10_000_000;
const AHEAD = 14;
const MILLION = 1_000_000;

/** `SEED=… node --test` plays others. */
const SEED = Number(process.env.SEED ?? 1);
const COUNT = 120;

/** What has changed is known as such, in a table with habits: three weeks, and a day or two that are not known. */
const KNOWN_AFTER_DAYS = 23;

/** A table's life, of one level or growing to the limit. */
interface Life {
  what: string;
  rows: (day: number) => number;
  told: (day: number) => Omit<Point, 'at'> | undefined;
  /** More rows in the evening of a day, when somebody starts the job by hand. */
  evening: (day: number) => number;
  /** From the thirtieth day on the job runs so many hours later. */
  movedHours: number;
  isFlat: boolean;
  /** Until its habits, and its changes, can be known. */
  settled: number;
}

/** Mulberry32: the same numbers in each run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What habits add to the level, as shares of their size, by day. */
const HABITS: Record<string, (day: number, period: number) => number> = {
  none: () => 0,
  'garbage collection once a week': (day) => (day % 7) / 7,
  'garbage collection each few nights': (day, period) => (day % period) / period,
  'a weekly wave': (day) => (1 + Math.sin((2 * Math.PI * day) / 7)) / 2,
  'working days': (day) => [0, 0.2, 0.4, 0.6, 0.8, 1, 0.4][day % 7] ?? 0,
  'a weekly wave, and garbage collection each few nights': (day, period) =>
    (day % period) / period / 2 + (1 + Math.sin((2 * Math.PI * day) / 7)) / 4,
};
const CHANGES = ['none', 'none', 'none', 'a restore', 'a new pace'] as const;

function invent(seed: number): Life {
  const random = randomOf(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const between = (a: number, b: number) => a + (b - a) * random();
  const isFlat = random() < 0.5;
  const habit = pick(Object.keys(HABITS));
  const change = pick(CHANGES);
  const [period, phase] = [pick([2, 3, 4, 5, 10, 14]), Math.floor(random() * 7)];
  const pace = isFlat ? 0 : Math.round(between(20_000, 230_000));
  const ends = 40 + (change === 'none' ? 0 : 35);
  const level = isFlat ? between(0.5, 7.5) * MILLION : LIMIT - 40 * pace;
  const size =
    habit === 'none' ? 0 : Math.min(between(0.03, 0.35) * level, isFlat ? 8.6 * MILLION - level : level);
  const [changeDay, before] = [10 + Math.floor(random() * 20), between(0.2, 0.7)];
  const trendOf = (day: number) => {
    const grown = level + pace * (isFlat ? 0 : Math.max(0, day - (ends - 40))) - (isFlat ? 0 : size);
    if (isFlat && change === 'a new pace') return grown * Math.min(1, before + ((1 - before) * day) / 20);
    return isFlat && change === 'a restore' && day < changeDay ? before * grown : grown;
  };
  const share = pick([0, 0, 0.01, 0.02, 0.03]);
  const [gap, evenings] = [pick([0, 0, 0.15, 0.25]), pick([0, 0, 0.1, 0.3])];
  const lots = Array.from({ length: 120 }, () => [2 * random() - 1, random(), random()] as const);
  const rows = (day: number) =>
    Math.max(0, Math.round(trendOf(day) + size * (HABITS[habit]?.(day + phase, period) ?? 0)));
  const more = Math.max(0, Math.min(0.3 * level, 8.6 * MILLION - level - size));
  return {
    what: `${seed}: ${isFlat ? 'flat' : `${pace} a day`}, at ${Math.round(level)}, habit: ${habit} (${Math.round(size)}, ${period}), change: ${change}, estimated within ${share}, unknown of ${gap} of the days`,
    rows,
    told: (day) => {
      const [error, gapLot] = lots[day] ?? [0, 1];
      if (gapLot < gap) return undefined;
      const told = Math.round(rows(day) * (1 + share * error));
      return { rows: told, margin: share === 0 ? 0 : told * 2 };
    },
    evening: (day) => ((lots[day]?.[2] ?? 1) < evenings ? more : 0),
    movedHours: pick([0, 0, 2, -3]),
    isFlat,
    settled: Math.max(
      habit === 'none' ? 0 : 15,
      2 * period + 9,
      // Growth that ends, on day 20, and a restore within large habits are known as such three weeks later.
      change === 'a new pace' ? 20 + KNOWN_AFTER_DAYS : 0,
      change === 'a restore' && habit !== 'none' ? changeDay + Math.max(KNOWN_AFTER_DAYS, 2 * period + 9) : 0,
    ),
  };
}

/** Plays a life day by day, as the alarm sees it. */
function play(life: Life): { problem: string | undefined } {
  const history: Point[] = [];
  const rings: boolean[] = [];
  let ringing = false;
  const tell = ({ rows, ...moment }: Moment) => {
    const made = forecast(LIMIT, { ...moment, ...(rows !== undefined && { rows }) }, history, AHEAD);
    if (made.kind === 'made') ringing = made.days <= AHEAD;
    if (rows !== undefined) history.push({ ...moment, rows });
  };
  let limitDay = 0;
  while (life.rows(limitDay) < LIMIT && limitDay < 100) limitDay++;
  for (let day = 0; day < Math.min(limitDay, 70 + (life.isFlat ? 0 : 30)); day++) {
    const told = life.told(day);
    const at = START + day * DAY + (day >= 30 ? life.movedHours * HOUR : 0) + ((day * 11) % 30) * 60_000;
    tell({ at, ...told });
    let rang = ringing;
    const more = life.evening(day);
    if (more > 0) tell({ at: START + day * DAY + 16 * HOUR, rows: life.rows(day) + more, margin: 0 });
    rang ||= ringing;
    rings.push(rang);
  }
  const falseDays = rings.flatMap((rang, day) => (rang && day >= life.settled ? [day] : []));
  if (life.isFlat) return { problem: falseDays.length > 0 ? `rings on the days ${falseDays}` : undefined };
  const warned = limitDay - rings.lastIndexOf(false) - 1;
  const wasToBeHad = limitDay - AHEAD >= life.settled + 7;
  return { problem: wasToBeHad && warned < 12 ? `warns ${warned} days before day ${limitDay}` : undefined };
}

it(`of ${COUNT} invented lives of tables each is warned of 12 days before, and no flat one rings`, (t) => {
  const lives = Array.from({ length: COUNT }, (_, index) => invent(SEED * 100_000 + index));
  const problems = lives.flatMap((life) => {
    const { problem } = play(life);
    return problem ? [`${problem}: ${life.what}`] : [];
  });
  for (const problem of problems) t.diagnostic(problem);
  assert.ok(lives.filter(({ isFlat }) => isFlat).length > COUNT / 3);
  assert.deepEqual(problems, []);
});
