import { hourlyHistory, type UnsoundValue } from '../shared/run/metric-history.ts';
import { withoutDips } from './dips.ts';
import {
  ALIKE_MS,
  DAY_MS,
  HABIT_DAYS,
  LEAST_DAYS,
  lastDays,
  PAST_DAYS,
  PEAK_DAYS,
  type Point,
  pacesOf,
  sinceChangeOfLevel,
  WEEK_DAYS,
} from './pace.ts';

/** A forecast of the day on which a table reaches a number of rows. */
export type Forecast =
  /**
   * `days`: the early end of what is likely. `perDay`: the pace that leads there; 0 if none was seen. `asOf`: the newest value, in
   * epoch milliseconds, if it is not of now.
   */
  | { kind: 'made'; days: number; perDay: number; asOf?: number }
  /** `days`: values of so many days are known; `sinceDays`: the first of them is so old. */
  | { kind: 'too-few-days'; days: number; sinceDays: number }
  /** The newest value is older than a week. */
  | { kind: 'too-old' };

/** A moment, whose rows may be unknown. */
export type Moment = Omit<Point, 'rows'> & { rows?: number };

/** Stands for "not in sight": ten years. CloudWatch takes no infinity. */
export const NOT_IN_SIGHT_DAYS = 3650;

/** Within a tenth of the limit no pace is slow enough to be at ease. */
const NEAR = 0.9;

/** So many of the newest values a forecast holds: one that errs, or a peak that is not known, does not end an alarm. */
const HELD = 5;

/**
 * In how many days a table will have so many rows.
 *
 * By the pace that leads there soonest of those that the past shows (`pacesOf`), and by the soonest of today's forecast and those
 * that the values before it gave: these hold until two on end see no growth, or what was new has fallen again. While the rows are
 * unknown, up to a week, the forecast goes on.
 *
 * @param daysAhead an alarm is to ring so many days before. Within a tenth of the limit no more are told.
 */
export function forecast(limit: number, now: Moment, history: readonly Point[], daysAhead: number): Forecast {
  const { at, rows, margin } = now;
  if (rows !== undefined && rows >= limit) return { kind: 'made', days: 0, perDay: 0 };
  const usable = history.filter((point) => point.at < at);
  const today = rows === undefined ? [] : [{ at, rows, ...(margin !== undefined && { margin }) }];
  const points = withoutDips(alike([...usable, ...today], at));
  const newest = today[0] ?? points.at(-1);
  const isOld = (point: Point) => at - point.at > WEEK_DAYS * DAY_MS + ALIKE_MS;
  if (!newest || isOld(newest)) return { kind: 'too-old' };
  const asOf = newest.at < at ? { asOf: newest.at } : {};
  if (points.length < LEAST_DAYS) {
    if (newest.rows >= NEAR * limit) return { kind: 'made', days: daysAhead, perDay: 0, ...asOf };
    const first = usable.reduce((oldest, point) => Math.min(oldest, point.at), at);
    return { kind: 'too-few-days', days: points.length, sinceDays: (at - first) / DAY_MS };
  }
  const recent = sinceChangeOfLevel(lastDays(PAST_DAYS + 1, points));
  const highest = Math.max(newest.rows, ...lastDays(PEAK_DAYS, recent).map((point) => point.rows));
  const { days, perDay } = held(
    limit,
    { at, newest },
    points,
    (last) => !isOld(last) && recent.indexOf(last) > 0,
  );
  return {
    kind: 'made',
    days: Math.min(days, highest >= NEAR * limit ? daysAhead : NOT_IN_SIGHT_DAYS),
    perDay,
    ...asOf,
  };
}

interface Made {
  days: number;
  perDay: number;
}

/** The soonest of what the newest values give, and those before them that may count. */
function held(
  limit: number,
  { at, newest }: { at: number; newest: Point },
  points: readonly Point[],
  counts: (last: Point) => boolean,
): Made {
  const made: (Made & { last: Point; isNew: boolean })[] = [];
  const grows = () => made.some(({ perDay }) => perDay > 0);
  for (let back = 0; back < HELD && points.length - back >= LEAST_DAYS; back++) {
    if (back > 1 && !grows()) break;
    const known = points.slice(0, points.length - back);
    const last = known.at(-1) ?? newest;
    if (back > 0 && !counts(last)) continue;
    const atLeast = back === 0 ? Math.max(last.rows, newest.rows) : last.rows;
    made.push({ last, ...soonest(limit, atLeast, known, (at - last.at) / DAY_MS) });
  }
  const [today, ...before] = made;
  const holding = grows() ? before.filter(({ isNew, last }) => !isNew || newest.rows >= last.rows) : [];
  const [first = { days: NOT_IN_SIGHT_DAYS, perDay: 0 }] = [...(today ? [today] : []), ...holding].sort(
    (a, b) => a.days - b.days,
  );
  return first;
}

/** By the pace that leads there soonest. `ago`: the newest value is so many days old. */
function soonest(
  limit: number,
  atLeast: number,
  points: readonly Point[],
  ago: number,
): Made & { isNew: boolean } {
  const [first = { days: NOT_IN_SIGHT_DAYS, perDay: 0, isNew: false }] = pacesOf(points)
    .map(({ perDay, level, isNew }) => ({
      days: Math.max(0, (limit - Math.max(atLeast, level)) / perDay - ago),
      perDay,
      isNew,
    }))
    .sort((a, b) => a.days - b.days);
  return first;
}

/** One value a day, the lowest, of the hours in which most values lie: the others are told at another moment of the day. */
function alike(all: readonly Point[], now: number): Point[] {
  const apart = (a: number, b: number) => {
    const difference = Math.abs(a - b) % DAY_MS;
    return Math.min(difference, DAY_MS - difference);
  };
  const recent = all.filter(({ at }) => now - at <= HABIT_DAYS * DAY_MS + ALIKE_MS);
  const near = (at: number) => recent.filter((other) => apart(at, other.at) <= ALIKE_MS).length;
  const usual = recent.reduce((best, { at }) => (near(at) >= near(best) ? at : best), recent[0]?.at ?? now);
  const days = new Map<number, Point>();
  for (const point of recent.filter(({ at }) => apart(at, usual) <= ALIKE_MS)) {
    const day = Math.round((usual - point.at) / DAY_MS);
    const lowest = days.get(day);
    if (lowest === undefined || point.rows < lowest.rows) days.set(day, point);
  }
  return [...days.values()].sort((a, b) => a.at - b.at);
}

/** What a table's metrics told of the last eight weeks: the lowest value of each hour; and what of it cannot be. */
export async function historyOf(
  { rows, margin }: { rows: string; margin: string },
  dimensions: Record<string, string>,
  now: number,
): Promise<{ points: Point[]; unsound: UnsoundValue[] }> {
  const {
    hours: [hours = [], margins = []],
    unsound,
  } = await hourlyHistory(
    [
      { metricName: rows, dimensions, statistic: 'Minimum' },
      { metricName: margin, dimensions, statistic: 'Maximum' },
    ],
    { from: now - (HABIT_DAYS + 1) * DAY_MS, to: now },
  );
  const marginAt = new Map(margins.map(({ at, value }) => [at, value]));
  const points = hours.map(({ at, value }) => {
    const known = marginAt.get(at);
    return { at, rows: value, ...(known !== undefined && { margin: known }) };
  });
  return { points, unsound };
}
