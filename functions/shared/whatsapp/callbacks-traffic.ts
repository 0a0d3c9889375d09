import type { TrafficMetric } from '../run/traffic.ts';

/** The name of the bus on which a deployment's callbacks come, and of the rule by which EventBridge counts all of them. */
export function callbacksBusName(deployment: string): string {
  return `${deployment}-callbacks`;
}

/**
 * All callbacks, as EventBridge counts what matches a rule: inbound messages, and of outgoing ones that they were sent, delivered and
 * read. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
 */
export function callbacksTraffic(deployment: string): TrafficMetric {
  const name = callbacksBusName(deployment);
  return {
    namespace: 'AWS/Events',
    metricName: 'MatchedEvents',
    dimensions: { EventBusName: name, RuleName: name },
  };
}
