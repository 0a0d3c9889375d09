import { type CloudWatchClient, type Metric, paginateGetMetricData } from '@aws-sdk/client-cloudwatch';
import { type Counted, SLOT_MINUTES } from './quiet-hours.ts';

/** A metric of CloudWatch's that counts what comes. */
export interface TrafficMetric {
  namespace: string;
  metricName: string;
  dimensions: Record<string, string>;
}

/** What an application load balancer counts as requests, a network load balancer as connections. */
export function loadBalancerTraffic(name: string): TrafficMetric {
  return {
    ...(name.startsWith('app/')
      ? { namespace: 'AWS/ApplicationELB', metricName: 'RequestCount' }
      : { namespace: 'AWS/NetworkELB', metricName: 'NewFlowCount' }),
    dimensions: { LoadBalancer: name },
  };
}

/**
 * What a metric counted in each slot of a time, in no order; a slot in which it counted nothing may be missing.
 * @param span in epoch milliseconds.
 * @throws what the SDK throws.
 */
export async function trafficOf(
  client: CloudWatchClient,
  { namespace, metricName, dimensions }: TrafficMetric,
  { from, to }: { from: number; to: number },
): Promise<Counted[]> {
  const metric: Metric = {
    Namespace: namespace,
    MetricName: metricName,
    Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
  };
  const counted: Counted[] = [];
  const query = { Id: 'requests', MetricStat: { Metric: metric, Period: SLOT_MINUTES * 60, Stat: 'Sum' } };
  for await (const { MetricDataResults: [result] = [] } of paginateGetMetricData(
    { client },
    { StartTime: new Date(from), EndTime: new Date(to), MetricDataQueries: [query] },
  ))
    for (const [index, at] of (result?.Timestamps ?? []).entries())
      counted.push({ at: at.getTime(), requests: result?.Values?.[index] ?? 0 });
  return counted;
}
