import { type CloudWatchClient, type Metric, paginateGetMetricData } from '@aws-sdk/client-cloudwatch';
import { toldResults } from './metric-results.ts';
import { type Counted, type Silence, SLOT_MINUTES } from './quiet-hours.ts';

/** A metric of CloudWatch's that tells how much comes. */
export interface TrafficMetric {
  namespace: string;
  metricName: string;
  dimensions: Record<string, string>;
  /** What it tells. @default how many came */
  unit?: 'bytes/second';
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
 * What clients send to a database server. Of what RDS tells of a server it follows the traffic most closely: connections are mostly kept
 * open day and night, and the disk has most to do in the downtime window itself, by few and short statements that delete much.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-metrics.html
 * @param instance identifier of a DB instance: of a cluster, of the one that writes.
 */
export function databaseTraffic(instance: string): TrafficMetric {
  return {
    namespace: 'AWS/RDS',
    metricName: 'NetworkReceiveThroughput',
    dimensions: { DBInstanceIdentifier: instance },
    unit: 'bytes/second',
  };
}

/** As it is told to people, for so much of it. */
export function trafficName({ metricName, unit }: TrafficMetric): string {
  return `${unit ? 'kilobytes ' : ''}of ${metricName}`;
}

/** A load balancer, a bus and a queue tell CloudWatch nothing of a time in which nothing came; a server that runs always tells something. */
export function silenceOf({ unit }: TrafficMetric): Silence {
  return unit ? 'unknown' : 'nothing-came';
}

/**
 * What a metric counted in each slot of a time, or how many kilobytes it told of, in no order; a slot in which it counted nothing may be
 * missing.
 * @param span in epoch milliseconds.
 * @throws what the SDK throws, and Error if CloudWatch could not read the metric.
 */
export async function trafficOf(
  client: CloudWatchClient,
  { namespace, metricName, dimensions, unit }: TrafficMetric,
  { from, to }: { from: number; to: number },
): Promise<Counted[]> {
  const metric: Metric = {
    Namespace: namespace,
    MetricName: metricName,
    Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
  };
  const counted: Counted[] = [];
  const seconds = SLOT_MINUTES * 60;
  const [statistic, each] = unit ? ['Average', seconds / 1000] : ['Sum', 1];
  const query = { Id: 'requests', MetricStat: { Metric: metric, Period: seconds, Stat: statistic } };
  for await (const { MetricDataResults: results } of paginateGetMetricData(
    { client },
    { StartTime: new Date(from), EndTime: new Date(to), MetricDataQueries: [query] },
  )) {
    const [result] = toldResults(results);
    for (const [index, at] of (result?.Timestamps ?? []).entries())
      counted.push({ at: at.getTime(), requests: (result?.Values?.[index] ?? 0) * each });
  }
  return counted;
}
