import { AwsError } from '../aws-error.ts';
import type { Place } from '../place.ts';
import type { Series } from './metric-math.ts';

/** A minute's values. */
export interface Point {
  /** Epoch milliseconds of the minute's beginning. */
  time: number;
  sum: number;
  count: number;
  minimum: number;
  maximum: number;
}

/** A metric with all its minutes, oldest first. */
export interface Metric extends Place {
  namespace: string;
  name: string;
  dimensions: Record<string, string>;
  points: Point[];
}

/** By CloudWatch's names. */
export const STATISTICS: Record<string, (points: Point[]) => number> = {
  Sum: (points) => points.reduce((sum, point) => sum + point.sum, 0),
  SampleCount: (points) => points.reduce((sum, point) => sum + point.count, 0),
  Average: (points) =>
    points.reduce((sum, point) => sum + point.sum, 0) / points.reduce((sum, point) => sum + point.count, 0),
  Minimum: (points) => Math.min(...points.map((point) => point.minimum)),
  Maximum: (points) => Math.max(...points.map((point) => point.maximum)),
};

/** The statistic of each of the periods that end at `end`, oldest first. */
export function aggregate(
  points: Point[],
  statistic: string,
  end: number,
  period: number,
  length: number,
): Series {
  const series: Series = new Array(length).fill(undefined);
  const compute = STATISTICS[statistic];
  if (compute === undefined) throw new AwsError('InvalidParameterValue', `${statistic} is not understood`);
  const start = end - length * period;
  let index = points.length;
  while (index > 0 && (points[index - 1]?.time ?? 0) >= start) index--;
  let group: Point[] = [];
  let slot = -1;
  const flush = () => {
    if (group.length > 0) series[slot] = compute(group);
    group = [];
  };
  for (const point of points.slice(index)) {
    if (point.time >= end) break;
    const its = Math.floor((point.time - start) / period);
    if (its !== slot) {
      flush();
      slot = its;
    }
    group.push(point);
  }
  flush();
  return series;
}

/** The periods from one time to another. */
export function span(from: Date | undefined, to: Date | undefined, seconds: number) {
  const period = seconds * 1000;
  const start = Math.floor((from?.getTime() ?? 0) / period) * period;
  const length = Math.min(Math.max(Math.ceil(((to?.getTime() ?? start) - start) / period), 0), 100_000);
  return { start, length, period };
}

export function metricKey(
  { account, region }: Place,
  namespace: string,
  name: string,
  dimensions: Record<string, string>,
): string {
  return `${account}/${region}/${namespace}/${name}/${dimensionsKey(dimensions)}`;
}

export function dimensionsKey(dimensions: Record<string, string>): string {
  return Object.entries(dimensions)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(',');
}
