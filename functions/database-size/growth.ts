import { hourlyHistory } from '../shared/run/metric-history.ts';

/** Rows at a moment, in epoch milliseconds. */
export interface Point {
  at: number;
  rows: number;
}

const DAY_MS = 24 * 3600 * 1000;

/** The pace is that of a week. */
const PACE_DAYS = 7;

/** Days with a point, today's included, without which there is no pace. */
const LEAST_DAYS = 3;

/** Stands for "not in sight": ten years. CloudWatch takes no infinity. */
export const NOT_IN_SIGHT_DAYS = 3650;

/**
 * What two estimates of an unchanged table may differ by: 2 % was measured. A larger margin would hide the slow growth
 * of a table that is just under the limit.
 */
const NOISE = 0.02;

/**
 * In how many days a table will have so many rows, if it goes on growing as since a week ago, or since the oldest day
 * that is known. Of each day the lowest point counts, which is the one after garbage collection.
 *
 * @returns 0 if it has; {@link NOT_IN_SIGHT_DAYS} if it does not grow; `undefined` while too few days are known.
 */
export function daysUntil(limit: number, now: Point, history: readonly Point[]): number | undefined {
  if (now.rows >= limit) return 0;
  const days = new Map<number, Point>();
  for (const point of history) {
    const daysAgo = Math.round((now.at - point.at) / DAY_MS);
    const lowest = days.get(daysAgo);
    if (daysAgo < 1 || daysAgo > PACE_DAYS) continue;
    if (lowest === undefined || point.rows < lowest.rows) days.set(daysAgo, point);
  }
  const oldest = days.get(Math.max(...days.keys()));
  if (oldest === undefined || days.size + 1 < LEAST_DAYS) return undefined;
  const growth = now.rows - oldest.rows;
  if (growth <= NOISE * now.rows) return NOT_IN_SIGHT_DAYS;
  const perDay = growth / ((now.at - oldest.at) / DAY_MS);
  return Math.min(NOT_IN_SIGHT_DAYS, (limit - now.rows) / perDay);
}

/** What a metric of the last week told: the lowest value of each hour. */
export async function historyOf(
  metricName: string,
  dimensions: Record<string, string>,
  now: number,
): Promise<Point[]> {
  const [hours = []] = await hourlyHistory([{ metricName, dimensions, statistic: 'Minimum' }], {
    from: now - (PACE_DAYS + 1) * DAY_MS,
    to: now,
  });
  return hours.map(({ at, value }) => ({ at, rows: value }));
}
