import { CloudWatchClient, paginateGetMetricData } from '@aws-sdk/client-cloudwatch';
import { toldResults } from './metric-results.ts';
import { namingErrors } from './naming-errors.ts';
import { METRIC_NAMESPACE } from './report.ts';
import { REQUEST_LIMITS } from './request-limits.ts';

/** A metric of the functions' own, of which each hour's value is asked for. */
export interface HourlyMetric {
  metricName: string;
  dimensions: Record<string, string>;
  statistic: 'Minimum' | 'Maximum' | 'Sum';
}

/** An hour's value. */
export interface HourlyValue {
  /** When the hour began, in epoch milliseconds. */
  at: number;
  value: number;
}

/** A value that no count has: no number, or below zero. It is told, and not believed. */
export interface UnsoundValue {
  /** As of {@link HourlyValue}. */
  at: number;
  /** The metric, the value and the hour, as a person reads them. */
  what: string;
}

const cloudWatch = namingErrors(new CloudWatchClient({ requestHandler: REQUEST_LIMITS }));

/**
 * What metrics that count something told of a time: of each metric the hours with a value, in no order.
 * @param from and `to` in epoch milliseconds.
 * @throws what the SDK throws, and Error if CloudWatch could not read one of them.
 */
export async function hourlyHistory(
  metrics: readonly HourlyMetric[],
  { from, to }: { from: number; to: number },
): Promise<{ hours: HourlyValue[][]; unsound: UnsoundValue[] }> {
  const hours = metrics.map((): HourlyValue[] => []);
  const unsound: UnsoundValue[] = [];
  const pages = paginateGetMetricData(
    { client: cloudWatch },
    {
      StartTime: new Date(from),
      EndTime: new Date(to),
      MetricDataQueries: metrics.map(({ metricName, dimensions, statistic }, index) => ({
        Id: `m${index}`,
        MetricStat: {
          Metric: {
            Namespace: METRIC_NAMESPACE,
            MetricName: metricName,
            Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
          },
          Period: 3600,
          Stat: statistic,
        },
      })),
    },
  );
  for await (const { MetricDataResults: results } of pages) {
    for (const { Id: id = '', Timestamps: times = [], Values: found = [] } of toldResults(results)) {
      const metric = Number(id.slice(1));
      for (const [index, time] of times.entries()) {
        const value = found[index];
        if (value === undefined) continue;
        const at = time.getTime();
        if (Number.isFinite(value) && value >= 0) hours[metric]?.push({ at, value });
        else unsound.push({ at, what: `${metrics[metric]?.metricName} ${value} at ${time.toISOString()}` });
      }
    }
  }
  return { hours, unsound };
}
