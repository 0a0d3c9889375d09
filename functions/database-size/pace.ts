import { medianAbsoluteDeviation, quantileSorted } from 'simple-statistics';

/** Rows at a moment, in epoch milliseconds. */
export interface Point {
  at: number;
  rows: number;
  /** By how many the number may be too low: 0 for a count, unknown for values of before this was told. */
  margin?: number;
}

/** A pace, and the level from which it leads on. */
export interface Pace {
  /** Rows a day. */
  perDay: number;
  level: number;
  /** It is of the last days alone: what falls again was no growth. */
  isNew: boolean;
}

export const DAY_MS = 24 * 3600 * 1000;

/** By so much of the past the pace is judged: four whole weeks, of which each weekday has its own habits. */
export const PAST_DAYS = 28;

/** So much of the past tells a table's habits. CloudWatch keeps hours for more than a year. */
export const HABIT_DAYS = 2 * PAST_DAYS;

/** Moments of a day that are alike: between two garbage collections rows rise and fall. */
export const ALIKE_MS = 3 * 3600 * 1000;

/** Days with a value, today's included, without which there is no pace. */
export const LEAST_DAYS = 3;

/** What two estimates of an unchanged table may differ by: 2 % was measured. A count does not err. */
const ESTIMATE_NOISE = 0.02;

/** What two counts of a table that does not grow may differ by, from one week to another. */
const UNEVEN = 0.002;

/** A value that is by more than a fifth below, or above, all before it is another level: a first large garbage collection, a restore. */
const LARGE_CHANGE = 0.2;

/** By how much a rise must exceed all earlier ones, of the same length, to be news. */
const NEWS = 1.5;

/** A rise in two steps that is none of a week's habits, though these are not known yet. */
const HALF_AS_MANY = 0.5;

/** A week, after which its habits can be told from growth. */
export const WEEK_DAYS = 7;

/** Peaks are compared over so many days, in which garbage collection that is not nightly has its turn. */
export const PEAK_DAYS = 14;

/**
 * The paces that a table's past shows, each only as far as it exceeds the noise of the values' sources and their scatter: the slope
 * of the weeks since the last change of level (Theil and Sen's, between days that are a week apart or more), unless the last week
 * was as one before; what the last days have more than the same weekdays a week before, and a rise of two days, if either is more
 * than was ever seen; an even rise while no week is known.
 */
export function pacesOf(points: readonly Point[]): Pace[] {
  const last = points.at(-1);
  if (!last) return [];
  const recent = sinceChangeOfLevel(lastDays(PAST_DAYS + 1, points));
  const steady = [longPace(recent), weeklyPace(points, recent)];
  const [long = 0, weekly = 0] = Math.max(...steady) > 0 && isAsBefore(recent) ? [] : steady;
  // What is new has no habits yet: it leads on from where it is.
  const level = last.rows + noiseOf(last);
  return [
    { perDay: long, level: peakOf(recent, long), isNew: false },
    { perDay: weekly, level, isNew: false },
    { perDay: newsPace(points, recent), level, isNew: true },
    { perDay: youngPace(recent), level, isNew: true },
  ].filter(({ perDay }) => perDay > 0);
}

/** By how much a value may differ from another of the same table. */
function noiseOf({ rows, margin }: Point): number {
  return Math.min(margin ?? Number.POSITIVE_INFINITY, ESTIMATE_NOISE * rows);
}

/** What came since the last change of level: a fall below all before, or a rise above it that was one day's alone. */
export function sinceChangeOfLevel(points: readonly Point[]): Point[] {
  let from = 0;
  let [lowest, highest] = [rowsAt(points, 0), rowsAt(points, 0)];
  for (let index = 1; index < points.length; index++) {
    const here = rowsAt(points, index);
    const fell = here < (1 - LARGE_CHANGE) * lowest;
    const isNew = fell || (here > (1 + LARGE_CHANGE) * highest && isOfOneDay(points, from, index));
    if (isNew) from = index;
    [lowest, highest] = isNew ? [here, here] : [Math.min(lowest, here), Math.max(highest, here)];
  }
  return points.slice(from);
}

/** Whether a rise is by far the largest since a day, beyond what the others' pace adds in its days, and did not go on. */
function isOfOneDay(points: readonly Point[], from: number, index: number): boolean {
  if (index + 1 >= points.length) return false;
  const steps = stepsOf(points.slice(from));
  const paces = steps.map(({ perDay }) => perDay).sort((a, b) => a - b);
  const pace = Math.max(0, quantileSorted(paces, 0.5));
  const rises = steps.map(({ days, perDay }) => days * (perDay - pace));
  const rise = rises[index - from - 1] ?? 0;
  const others = rises.filter((_, other) => other !== index - from - 1);
  return rise > LARGE_CHANGE * rowsAt(points, index - 1) && others.every((other) => other < rise / 2);
}

/** The highest that the habits of the last weeks reach today, at a pace. */
function peakOf(points: readonly Point[], perDay: number): number {
  const today = points.at(-1)?.at ?? 0;
  return Math.max(
    ...lastDays(PEAK_DAYS, points).map(
      (point) => point.rows + noiseOf(point) + (perDay * (today - point.at)) / DAY_MS,
    ),
  );
}

export function lastDays(days: number, points: readonly Point[]): Point[] {
  const today = points.at(-1)?.at ?? 0;
  return points.filter(({ at }) => today - at < days * DAY_MS - ALIKE_MS);
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

/**
 * Theil and Sen's line: the median of the slopes between any two points that are so many days apart. A fifth of wrong values
 * does not move it.
 */
function lineOf(points: readonly Point[], leastDays: number): Line {
  const first = points[0]?.at ?? 0;
  const spanDays = spanOf(points);
  const slopes = points
    .flatMap((a, index) =>
      points
        .slice(index + 1)
        .filter(({ at }) => at - a.at >= leastDays * DAY_MS - ALIKE_MS)
        .map((b) => (b.rows - a.rows) / ((b.at - a.at) / DAY_MS)),
    )
    .sort((a, b) => a - b);
  if (slopes.length === 0) return { median: 0, upper: 0, spanDays, scatter: 0 };
  const median = quantileSorted(slopes, 0.5);
  const residuals = points.map(({ at, rows }) => rows - (median * (at - first)) / DAY_MS);
  return {
    median,
    upper: quantileSorted(slopes, 0.75),
    spanDays,
    scatter: medianAbsoluteDeviation(residuals),
  };
}

/** Whether the last week is as it was a habit's length before: of seven to fourteen days the one that explains the last two weeks best. */
function isAsBefore(recent: readonly Point[]): boolean {
  const today = recent.at(-1)?.at ?? 0;
  const lags = Array.from({ length: PEAK_DAYS - WEEK_DAYS + 1 }, (_, index) =>
    risesOver(WEEK_DAYS + index, recent),
  )
    .filter((rises) => rises.filter(({ at }) => today - at < WEEK_DAYS * DAY_MS - ALIKE_MS).length >= 4)
    .map((rises) => {
      const sorted = rises.map(({ rise }) => rise).sort((a, b) => a - b);
      return { rises, spread: quantileSorted(sorted, 0.9) - quantileSorted(sorted, 0.1) };
    })
    .sort((a, b) => a.spread - b.spread);
  const lastWeek = (lags[0]?.rises ?? []).filter(({ at }) => today - at < WEEK_DAYS * DAY_MS - ALIKE_MS);
  if (lastWeek.length === 0) return false;
  const alike = lastWeek.filter(({ rise, noise }) => Math.abs(rise) <= noise).length;
  const rises = lastWeek.map(({ rise }) => rise).sort((a, b) => a - b);
  return (
    alike >= 0.8 * lastWeek.length &&
    quantileSorted(rises, 0.5) <= Math.max(...lastWeek.map(({ noise }) => noise)) / 4
  );
}

function risesOver(days: number, recent: readonly Point[]) {
  return lastDays(PEAK_DAYS, recent).flatMap((point) => {
    const before = recent.find(({ at }) => Math.abs(point.at - at - days * DAY_MS) <= ALIKE_MS);
    return before
      ? [
          {
            at: point.at,
            rise: point.rows - before.rows,
            noise: noiseOf(point) + noiseOf(before) + UNEVEN * point.rows,
          },
        ]
      : [];
  });
}
/** The pace over the weeks since the last change of level, if the last weeks rose too. */
function longPace(recent: readonly Point[]): number {
  if (recent.length < LEAST_DAYS) return 0;
  const { median: ofAll, spanDays, scatter } = lineOf(recent, WEEK_DAYS);
  if (spanDays < WEEK_DAYS) return 0;
  const earlier = recent.slice(0, -1);
  const isYoung = spanDays < PEAK_DAYS;
  // What the newest value says alone is no pace.
  const median =
    isYoung && spanOf(earlier) >= WEEK_DAYS - ALIKE_MS / DAY_MS
      ? Math.min(ofAll, lineOf(earlier, WEEK_DAYS).median)
      : ofAll;
  const ofWeekdays = weekdaySlopes(recent);
  // Until two weeks are known, days that are a week apart are few, and those of other weekdays mislead.
  const perDay =
    isYoung && ofWeekdays.length >= LEAST_DAYS ? Math.min(median, quantileSorted(ofWeekdays, 0.5)) : median;
  const noise = Math.max(...recent.map(noiseOf), 2 * scatter);
  return perDay * spanDays > noise && peaksRise(recent, perDay) ? perDay : 0;
}

/** Of days that are whole weeks apart, in ascending order. */
function weekdaySlopes(points: readonly Point[]): number[] {
  return points
    .flatMap((a, index) =>
      points.slice(index + 1).flatMap((b) => {
        const days = (b.at - a.at) / DAY_MS;
        const weeks = Math.round(days / WEEK_DAYS);
        const isWhole = weeks >= 1 && Math.abs(days - weeks * WEEK_DAYS) * DAY_MS <= ALIKE_MS;
        return isWhole ? [(b.rows - a.rows) / days] : [];
      }),
    )
    .sort((a, b) => a - b);
}

/** Whether what was reached in the last two weeks is above what was before, by a quarter of what a pace says. */
function peaksRise(recent: readonly Point[], perDay: number): boolean {
  const last = lastDays(PEAK_DAYS, recent);
  const earlier = recent.slice(0, recent.length - last.length);
  if (spanOf(recent) < PEAK_DAYS + WEEK_DAYS || earlier.length === 0) return true;
  const highest = (points: readonly Point[]) => Math.max(...points.map(({ rows }) => rows));
  return highest(last) - highest(earlier) > (perDay * PEAK_DAYS) / 4;
}

function spanOf(points: readonly Point[]): number {
  const first = points[0]?.at ?? 0;
  return ((points.at(-1)?.at ?? first) - first) / DAY_MS;
}

/** The pace by what each of the last days has more than the same weekday a week before, if it never was as much. */
function weeklyPace(points: readonly Point[], recent: readonly Point[]): number {
  const rises = points.flatMap((point) => {
    const before = points.find(({ at }) => Math.abs(point.at - at - WEEK_DAYS * DAY_MS) <= ALIKE_MS);
    return before
      ? [
          {
            at: point.at,
            perDay: (point.rows - before.rows) / WEEK_DAYS,
            noise: (noiseOf(point) + noiseOf(before)) / WEEK_DAYS,
          },
        ]
      : [];
  });
  const since = recent[0]?.at ?? 0;
  const last = rises.slice(-LEAST_DAYS).filter(({ at }) => at - since >= WEEK_DAYS * DAY_MS - ALIKE_MS);
  if (last.length < LEAST_DAYS || last.some(({ perDay, noise }) => perDay <= noise)) return 0;
  const paces = last.map(({ perDay }) => perDay).sort((a, b) => a - b);
  const least = paces[0] ?? 0;
  // What they belong to: all that rose before them without a pause. A habit has risen as much before that.
  const begin = rises.findLastIndex(({ perDay, noise }) => perDay <= noise);
  const isHabit = rises.slice(0, Math.max(0, begin)).some(({ perDay }) => perDay > least / NEWS);
  return isHabit ? 0 : quantileSorted(paces, 0.75);
}

/** The pace of the last two steps, if they rise together by more than any two before, so that it is no habit. */
function newsPace(points: readonly Point[], recent: readonly Point[]): number {
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
  const ofBefore = recent.slice(0, -2).map(({ rows }) => rows);
  if (ofBefore.length === 0) return 0;
  const range = Math.max(...ofBefore) - Math.min(...ofBefore);
  return perDay > NEWS * highest && rise > NEWS * range && level > Math.max(...ofBefore) ? perDay : 0;
}

/** The pace while less than a week is known since the last change of level: of a rise that goes on evenly. */
function youngPace(recent: readonly Point[]): number {
  if (recent.length < LEAST_DAYS + 2) return 0;
  const { median, upper, spanDays, scatter } = lineOf(recent, 0);
  if (spanDays < LEAST_DAYS - ALIKE_MS / DAY_MS || spanDays >= WEEK_DAYS) return 0;
  const paces = stepsOf(recent).map(({ perDay }) => perDay);
  const noise = Math.max(...recent.map(noiseOf), 2 * scatter);
  const even = Math.min(...paces) > 0 && Math.max(...paces) <= 2.5 * Math.min(...paces);
  const noisy = noise > 0 && median * spanDays > 3 * noise;
  return median > 0 && (even || noisy) && median * spanDays > noise ? upper : 0;
}

/** From each point to the next. */
export function stepsOf(points: readonly Point[]): { days: number; perDay: number }[] {
  return points.slice(1).map((point, index) => {
    const before = points[index] ?? point;
    const days = (point.at - before.at) / DAY_MS;
    return { days, perDay: (point.rows - before.rows) / days };
  });
}
