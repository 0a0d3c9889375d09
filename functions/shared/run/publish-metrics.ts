import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { METRIC_NAMESPACE } from './report.ts';

/**
 * Tells CloudWatch metrics, by a log line in the embedded metric format.
 * @param metrics values by the metric's name.
 * @param units by the metric's name. @default none
 */
export function publishMetrics(
  dimensions: Record<string, string>,
  metrics: Record<string, number>,
  units: Record<string, (typeof MetricUnit)[keyof typeof MetricUnit]> = {},
): void {
  const published = new Metrics({ namespace: METRIC_NAMESPACE });
  // Powertools' own default dimension, `service`, would make a metric apart from the one that the alarms watch.
  published.clearDefaultDimensions();
  published.addDimensions(dimensions);
  for (const [name, value] of Object.entries(metrics))
    published.addMetric(name, units[name] ?? MetricUnit.NoUnit, value);
  published.publishStoredMetrics();
}
