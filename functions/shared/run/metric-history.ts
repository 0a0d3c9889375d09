import { CloudWatchClient, paginateGetMetricData } from '@aws-sdk/client-cloudwatch';
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

const cloudWatch = namingErrors(new CloudWatchClient({ requestHandler: REQUEST_LIMITS }));

/**
 * What metrics told of a time: of each metric the hours with a value, in no order.
 * @param from and `to` in epoch milliseconds.
 * @throws what the SDK throws.
 */
export async function hourlyHistory(
  metrics: readonly HourlyMetric[],
  { from, to }: { from: number; to: number },
): Promise<HourlyValue[][]> {
  const values = metrics.map((): HourlyValue[] => []);
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
  for await (const { MetricDataResults: results = [] } of pages) {
    for (const { Id: id = '', Timestamps: times = [], Values: found = [] } of results) {
      values[Number(id.slice(1))]?.push(
        ...times.flatMap((time, index) => {
          const value = found[index];
          return value === undefined ? [] : [{ at: time.getTime(), value }];
        }),
      );
    }
  }
  return values;
}
