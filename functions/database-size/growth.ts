import { medianAbsoluteDeviation, quantileSorted } from 'simple-statistics';
import { hourlyHistory } from '../shared/run/metric-history.ts';

/** Rows at a moment, in epoch milliseconds. */
export interface Point {
  at: number;
  rows: number;
  /** By how many the number may be too low: 0 for a count, unknown for values of before this was told. */
  margin?: number;
}

/** A forecast of the day on which a table reaches a number of rows. */
export type Forecast =
  /** `days`: the early end of what is likely. `perDay`: the pace that leads there; 0 if none was seen. */
  | { kind: 'made'; days: number; perDay: number }
  /** `days`: values of so many days are known; `sinceDays`: the first of them is so old. */
  | { kind: 'too-few-days'; days: number; sinceDays: number };

const DAY_MS = 24 * 3600 * 1000;

/** By so much of the past the pace is judged: four whole weeks, of which each weekday has its own habits. */
const PAST_DAYS = 28;

/** Moments of a day that are alike: between two garbage collections rows rise and fall. */
const ALIKE_MS = 3 * 3600 * 1000;

/** Days with a value, today's included, without which there is no pace. */
const LEAST_DAYS = 3;

/** Stands for "not in sight": ten years. CloudWatch takes no infinity. */
export const NOT_IN_SIGHT_DAYS = 3650;

/** Within a tenth of the limit no pace is slow enough to be at ease. */
const NEAR = 0.9;

/** What two estimates of an unchanged table may differ by: 2 % was measured. A count does not err. */
const ESTIMATE_NOISE = 0.02;

/** A fall by more than a fifth is a large garbage collection, a restore or another database: the pace before says nothing. */
const LARGE_CHANGE = 0.2;

/** By how much a rise must exceed all earlier ones, of the same length, to be news. */
const NEWS = 1.5;

/** A rise in two steps that is none of a week's habits, though these are not known yet. */
const HALF_AS_MANY = 0.5;

/** A week, after which its habits can be told from growth. */
const WEEK_DAYS = 7;

/**
 * In how many days a table will have so many rows.
 *
 * The pace is the highest of what these show, so that the forecast is the early end of what is likely: the slope over the weeks
 * since the last large change (Theil and Sen's, by its upper quartile); the weeks' own difference, weekday by weekday;
 * and, before a week is over, a rise that was never seen before. Each counts only if it exceeds the noise: that of the values'
 * sources, and their scatter.
 *
 * @param daysAhead an alarm is to ring so many days before. Within a tenth of the limit no more are told.
 */
export function forecast(limit: number, now: Point, history: readonly Point[], daysAhead: number): Forecast {
  const usable = history.filter(({ at, rows }) => Number.isFinite(rows) && rows >= 0 && at < now.at);
  const points = alike([...usable, now], now.at);
  if (now.rows >= limit) return { kind: 'made', days: 0, perDay: 0 };
  const capped = (days: number) => Math.min(days, now.rows >= NEAR * limit ? daysAhead : NOT_IN_SIGHT_DAYS);
  if (points.length < LEAST_DAYS) {
    if (now.rows >= NEAR * limit) return { kind: 'made', days: daysAhead, perDay: 0 };
    const first = usable.reduce((oldest, { at }) => Math.min(oldest, at), now.at);
    return { kind: 'too-few-days', days: points.length, sinceDays: (now.at - first) / DAY_MS };
  }
  const perDay = Math.max(0, longPace(points), weeklyPace(points), newsPace(points), youngPace(points));
  const last = points.at(-1) ?? now;
  const level = Math.max(now.rows, last.rows) + noiseOf(last);
  const days = perDay > 0 ? (limit - level) / perDay : NOT_IN_SIGHT_DAYS;
  return { kind: 'made', days: capped(Math.max(0, days)), perDay };
}

/** One value a day, the lowest, of the hours in which most values lie: the others are told at another moment of the day. */
function alike(all: readonly Point[], now: number): Point[] {
  const apart = (a: number, b: number) => {
    const difference = Math.abs(a - b) % DAY_MS;
    return Math.min(difference, DAY_MS - difference);
  };
  const recent = all.filter(({ at }) => now - at <= PAST_DAYS * DAY_MS + ALIKE_MS);
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

/** By how much a value may differ from another of the same table. */
function noiseOf({ rows, margin }: Point): number {
  return Math.min(margin ?? Number.POSITIVE_INFINITY, ESTIMATE_NOISE * rows);
}

/** What came since the last large change of level: a fall, or a rise that was one day's alone. */
function sinceLargeChange(points: readonly Point[]): Point[] {
  let from = 0;
  for (let index = 1; index < points.length; index++) {
    const [before, here, next] = [rowsAt(points, index - 1), rowsAt(points, index), points[index + 1]?.rows];
    const change = here - before;
    if (change < 0 && -change > LARGE_CHANGE * before) from = index;
    const paceBefore = index >= 2 ? before - rowsAt(points, index - 2) : 0;
    const ofOneDay =
      next !== undefined && Math.abs(next - here) < change / 4 && Math.abs(paceBefore) < change / 4;
    if (change > LARGE_CHANGE * before && ofOneDay) from = index;
  }
  return points.slice(from);
}

function rowsAt(points: readonly Point[], index: number): number {
  return points[index]?.rows ?? Number.NaN;
}

interface Line {
  /** Rows a day. */
  median: number;
  upper: number;
  spanDays: number;
  /** What the values scatter by about the line. */
  scatter: number;
}

/** Theil and Sen's line: the median of the slopes between any two points. A fifth of wrong values does not move it. */
function lineOf(points: readonly Point[]): Line {
  const slopes = points
    .flatMap((a, index) => points.slice(index + 1).map((b) => (b.rows - a.rows) / ((b.at - a.at) / DAY_MS)))
    .sort((a, b) => a - b);
  const median = quantileSorted(slopes, 0.5);
  const first = points[0]?.at ?? 0;
  const residuals = points.map(({ at, rows }) => rows - (median * (at - first)) / DAY_MS);
  return {
    median,
    upper: quantileSorted(slopes, 0.75),
    spanDays: ((points.at(-1)?.at ?? first) - first) / DAY_MS,
    scatter: medianAbsoluteDeviation(residuals),
  };
}

/** The pace over the weeks since the last large change. */
function longPace(points: readonly Point[]): number {
  const recent = sinceLargeChange(points);
  if (recent.length < LEAST_DAYS) return 0;
  const { median, upper, spanDays, scatter } = lineOf(recent);
  if (spanDays < WEEK_DAYS) return 0;
  const noise = Math.max(...recent.map(noiseOf), 2 * scatter);
  return median * spanDays > noise ? upper : 0;
}

/** The pace by what each of the last days has more than the same weekday a week before. */
function weeklyPace(points: readonly Point[]): number {
  const recent = sinceLargeChange(points);
  const differences = recent.slice(-LEAST_DAYS).flatMap((point) => {
    const before = recent.find(({ at }) => Math.abs(point.at - at - WEEK_DAYS * DAY_MS) <= ALIKE_MS);
    return before ? [{ rise: point.rows - before.rows, noise: noiseOf(point) + noiseOf(before) }] : [];
  });
  if (differences.length < LEAST_DAYS || differences.some(({ rise, noise }) => rise <= noise)) return 0;
  const rises = differences.map(({ rise }) => rise).sort((a, b) => a - b);
  return quantileSorted(rises, 0.75) / WEEK_DAYS;
}

/** The pace of the last two steps, if they rise together by more than any two before, so that it is no habit. */
function newsPace(points: readonly Point[]): number {
  const steps = stepsOf(points);
  const [before, last] = steps.slice(-2);
  if (!before || !last || before.perDay <= 0 || last.perDay <= 0) return 0;
  const perDay = Math.min(before.perDay, last.perDay);
  const rise = perDay * (before.days + last.days);
  const level = rowsAt(points, points.length - 1);
  const noise = 2 * Math.max(...points.slice(-3).map(noiseOf));
  if (rise <= noise) return 0;
  const earlier = steps.slice(0, -2);
  const known = earlier.reduce((sum, { days }) => sum + days, 0) >= WEEK_DAYS;
  // A week's habits are not known yet, and nothing less than this is none of them.
  if (!known) return rise > HALF_AS_MANY * level ? perDay : 0;
  const highest = Math.max(
    0,
    ...earlier.slice(1).map(({ perDay: second }, index) => Math.min(second, earlier[index]?.perDay ?? 0)),
  );
  return perDay > NEWS * highest ? perDay : 0;
}

/** The pace while less than a week is known since the last large change: of a rise that goes on evenly. */
function youngPace(points: readonly Point[]): number {
  const recent = sinceLargeChange(points);
  const { median, upper, spanDays, scatter } =
    recent.length >= 2 ? lineOf(recent) : { median: 0, upper: 0, spanDays: 0, scatter: 0 };
  if (spanDays < LEAST_DAYS || spanDays >= WEEK_DAYS || recent.length < LEAST_DAYS + 1) return 0;
  const paces = stepsOf(recent).map(({ perDay }) => perDay);
  const noise = Math.max(...recent.map(noiseOf), 2 * scatter);
  const even = Math.min(...paces) > 0 && Math.max(...paces) <= 2.5 * Math.min(...paces);
  const noisy = noise > 0 && median * spanDays > 3 * noise;
  return median > 0 && (even || noisy) && median * spanDays > noise ? upper : 0;
}

function stepsOf(points: readonly Point[]): { days: number; perDay: number }[] {
  return points.slice(1).map((point, index) => {
    const before = points[index] ?? point;
    const days = (point.at - before.at) / DAY_MS;
    return { days, perDay: (point.rows - before.rows) / days };
  });
}

/** What a table's metrics told of the last four weeks: the lowest value of each hour. */
export async function historyOf(
  { rows, margin }: { rows: string; margin: string },
  dimensions: Record<string, string>,
  now: number,
): Promise<Point[]> {
  const [hours = [], margins = []] = await hourlyHistory(
    [
      { metricName: rows, dimensions, statistic: 'Minimum' },
      { metricName: margin, dimensions, statistic: 'Maximum' },
    ],
    { from: now - (PAST_DAYS + 1) * DAY_MS, to: now },
  );
  const marginAt = new Map(margins.map(({ at, value }) => [at, value]));
  return hours.map(({ at, value }) => {
    const known = marginAt.get(at);
    return { at, rows: value, ...(known !== undefined && { margin: known }) };
  });
}
