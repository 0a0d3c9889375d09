/** What AWS charges for one unit, in US dollars, before any free tier and discount. */
interface Price {
  unit: string;
  dollars: number;
  /** Where it was read, and when that was written. */
  source: string;
}

const LAMBDA = "AWS's page of Lambda's prices, as copied on 20 September 2026";
const CLOUDWATCH = "AWS's page of CloudWatch's prices, as copied on 5 May 2026";

/**
 * List prices of us-east-1. None was asked of AWS by us: each is from a copy of AWS's page of prices, or, where the copy has its
 * tables without figures, from who quotes it. Other regions differ by up to a third.
 */
export const PRICES = {
  alarm: { unit: "an alarm's metric for a month", dollars: 0.1, source: CLOUDWATCH },
  metric: { unit: 'a custom metric for a month', dollars: 0.3, source: CLOUDWATCH },
  dashboard: { unit: 'a dashboard for a month', dollars: 3, source: CLOUDWATCH },
  logs: { unit: 'a gigabyte of logs taken in', dollars: 0.5, source: CLOUDWATCH },
  metricData: { unit: '1,000 metrics asked for (GetMetricData)', dollars: 0.01, source: CLOUDWATCH },
  endpoint: {
    unit: 'an interface endpoint in one zone for an hour',
    dollars: 0.01,
    source: "second hand, of May 2026: the copy of AWS's page of PrivateLink's prices has no figure",
  },
  request: { unit: "a million requests of Lambda's", dollars: 0.2, source: LAMBDA },
  compute: {
    unit: 'a gigabyte-second on arm64',
    dollars: 0.0000133334,
    source: 'second hand, of May 2026: the copy of the page has no figure',
  },
  operation: { unit: 'a million durable operations', dollars: 8, source: `${LAMBDA}, in its examples` },
  secret: {
    unit: 'a secret for a month',
    dollars: 0.4,
    source: "AWS's page of Secrets Manager's prices, as copied on 20 September 2026",
  },
  secretCall: {
    unit: '10,000 calls of Secrets Manager',
    dollars: 0.05,
    source: "AWS's page of Secrets Manager's prices, as copied on 20 September 2026",
  },
  key: { unit: 'a KMS key for a month', dollars: 1, source: 'second hand, of 2018; not looked up since' },
  keyUse: {
    unit: '10,000 uses of a key',
    dollars: 0.03,
    source: 'second hand, of 2018; not looked up since',
  },
  queue: { unit: 'a million requests of SQS', dollars: 0.4, source: 'second hand, of 2020' },
  stored: { unit: 'a gigabyte in S3 for a month', dollars: 0.023, source: 'second hand; not looked up' },
  put: { unit: '1,000 files put into S3', dollars: 0.005, source: 'second hand; not looked up' },
  event: { unit: 'a million custom events', dollars: 1, source: 'second hand; not looked up' },
} satisfies Record<string, Price>;
