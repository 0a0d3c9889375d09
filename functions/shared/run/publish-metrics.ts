import { Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { METRIC_NAMESPACE, metricName } from './report.ts';

/**
 * Tells CloudWatch metrics, by a log line in the embedded metric format.
 * @param figures values by the figure's or the metric's name.
 * @param units by the metric's name. @default none
 * @param at of when they are: at most 14 days ago. @default now
 */
export function publishMetrics(
  dimensions: Record<string, string>,
  figures: Record<string, number>,
  units: Record<string, (typeof MetricUnit)[keyof typeof MetricUnit]> = {},
  at?: Date,
): void {
  const metrics = new Metrics({ namespace: METRIC_NAMESPACE });
  // Powertools' own default dimension, `service`, would make a metric apart from the one that the alarms watch.
  metrics.clearDefaultDimensions();
  metrics.addDimensions(dimensions);
  if (at) metrics.setTimestamp(at);
  for (const [figure, value] of Object.entries(figures)) {
    const name = metricName(figure);
    metrics.addMetric(name, units[name] ?? MetricUnit.NoUnit, value);
  }
  metrics.publishStoredMetrics();
}
