import {
  databaseTraffic,
  loadBalancerTraffic,
  type TrafficMetric,
} from '../../functions/shared/run/traffic.ts';
import { callbacksTraffic } from '../../functions/shared/whatsapp/callbacks-traffic.ts';
import type { Finding } from '../checks/mistakes.ts';

/** By what the traffic is told: one of these, or the callbacks. */
export interface WatchedTraffic {
  /** The end of a load balancer's ARN, such as `app/shop/0123456789abcdef`: its requests or connections. */
  readonly loadBalancer?: string | undefined;
  /** Identifier of a DB instance of RDS: the kilobytes that it is sent. Of a cluster, the one that writes. */
  readonly databaseInstance?: string | undefined;
}

/** What of a deployment's traffic is looked at. */
export function watchedTraffic(
  deployment: string,
  { loadBalancer, databaseInstance }: WatchedTraffic,
): TrafficMetric {
  if (databaseInstance) return databaseTraffic(databaseInstance);
  return loadBalancer ? loadBalancerTraffic(loadBalancer) : callbacksTraffic(deployment);
}

/** It is looked at by one thing. */
export function watchedTrafficFindings({ loadBalancer, databaseInstance }: WatchedTraffic = {}): Finding[] {
  return loadBalancer !== undefined && databaseInstance !== undefined
    ? [
        {
          field: ['watchWindow'],
          problem: 'names a load balancer and a database instance; it must name one of them.',
        },
      ]
    : [];
}
