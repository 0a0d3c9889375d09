import type { BucketRate } from '../token-bucket.ts';

/**
 * Requests of PutEvents and invocations of rules' targets in a second (EventBridge's user guide, quotas, as copied in 2026). Further
 * requests are refused, further invocations come later.
 */
const QUOTAS: [regions: string[], puts: number, invocations: number][] = [
  [['us-east-1', 'us-west-2', 'eu-west-1'], 10_000, 18_750],
  [['us-east-2', 'eu-central-1', 'eu-south-2'], 2_400, 4_500],
  [['us-west-1', 'ap-northeast-1', 'ap-southeast-1', 'ap-southeast-2', 'eu-west-2'], 1_200, 2_250],
  [
    ['ap-east-1', 'ap-northeast-2', 'ap-south-1', 'ca-central-1', 'eu-north-1', 'eu-west-3', 'sa-east-1'],
    600,
    1_100,
  ],
];
const OF_OTHERS = [[], 400, 750] as const;

function quotaOf(region: string) {
  return QUOTAS.find(([regions]) => regions.includes(region)) ?? OF_OTHERS;
}

/** How often PutEvents may be asked. */
export function putEventsRate(region: string): BucketRate {
  const [, puts] = quotaOf(region);
  return { burst: puts, perSecond: puts };
}

/** How often targets of rules are invoked. */
export function invocationsRate(region: string): BucketRate {
  const [, , invocations] = quotaOf(region);
  return { burst: invocations, perSecond: invocations };
}
