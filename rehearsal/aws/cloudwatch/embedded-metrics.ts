import { isRecord } from '../wire/values.ts';

interface EmbeddedMetric {
  namespace: string;
  name: string;
  dimensions: Record<string, string>;
  value: number;
  /** Epoch milliseconds. Undefined: now. */
  time: number | undefined;
}

/** The values in a log line of the embedded metric format; none in any other line. */
export function embeddedMetrics(line: string): EmbeddedMetric[] {
  let document: unknown;
  try {
    document = JSON.parse(line);
  } catch {
    return [];
  }
  if (!isRecord(document) || !isRecord(document._aws)) return [];
  const { Timestamp: timestamp, CloudWatchMetrics: directives } = document._aws;
  if (!Array.isArray(directives)) return [];
  const found: EmbeddedMetric[] = [];
  for (const directive of directives.filter(isRecord)) {
    const { Namespace: namespace, Dimensions: sets, Metrics: metrics } = directive;
    if (typeof namespace !== 'string' || !Array.isArray(sets) || !Array.isArray(metrics)) continue;
    for (const names of sets.filter(Array.isArray)) {
      const dimensions: Record<string, string> = {};
      for (const name of names) dimensions[String(name)] = String(document[String(name)]);
      for (const metric of metrics.filter(isRecord)) {
        const name = String(metric.Name);
        const values: unknown = document[name];
        for (const value of Array.isArray(values) ? values : [values]) {
          if (typeof value !== 'number') continue;
          found.push({ namespace, name, dimensions, value, time: Number(timestamp) || undefined });
        }
      }
    }
  }
  return found;
}
