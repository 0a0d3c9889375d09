import type { MetricDataResult } from '@aws-sdk/client-cloudwatch';

/**
 * What GetMetricData has answered of each metric. It answers well also where it could not read one, and then has too few values or none,
 * which would be taken for a metric that tells nothing.
 * @throws Error naming the metric.
 */
export function toldResults(results: MetricDataResult[] = []): MetricDataResult[] {
  for (const { Label: label = 'a metric', StatusCode: status, Messages: messages = [] } of results)
    if (status === 'InternalError' || status === 'Forbidden') {
      const words = messages.flatMap(({ Value: value }) => value ?? []).join(' ');
      throw new Error(`CloudWatch could not tell ${label} (${status})${words && `: ${words}`}`);
    }
  return results;
}
