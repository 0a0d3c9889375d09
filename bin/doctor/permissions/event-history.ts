import { CloudTrailClient, type LookupAttribute, paginateLookupEvents } from '@aws-sdk/client-cloudtrail';
import * as v from 'valibot';
import type { ExaminedDeployment } from '../examined-deployment.ts';

const DAY_MS = 24 * 3600_000;
/** Within which every job but a monthly one runs. */
const LOOKS_BACK_MS = 14 * DAY_MS;
/** CloudTrail answers two questions a second, of fifty events each. */
const MOST_EVENTS = 500;

/** What doctor reads of an event: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html */
const record = v.object({
  eventName: v.string(),
  eventTime: v.string(),
  userIdentity: v.object({ arn: v.optional(v.string()), invokedBy: v.optional(v.string()) }),
  errorCode: v.optional(v.string()),
  errorMessage: v.optional(v.string()),
  requestParameters: v.nullish(v.object({ encryptionContext: v.nullish(v.record(v.string(), v.unknown())) })),
});

export type HistoryEvent = v.InferOutput<typeof record>;

/** The newest events of CloudTrail's event history, which every account has and nobody pays for. */
export async function eventHistory(
  { clients }: ExaminedDeployment,
  attribute: LookupAttribute,
): Promise<HistoryEvent[]> {
  const client = new CloudTrailClient({
    region: await clients.lambda.config.region(),
    credentials: clients.lambda.config.credentials,
    maxAttempts: 8,
  });
  const found: HistoryEvent[] = [];
  const pages = paginateLookupEvents(
    { client },
    { LookupAttributes: [attribute], StartTime: new Date(Date.now() - LOOKS_BACK_MS) },
  );
  for await (const { Events: events = [] } of pages) {
    for (const { CloudTrailEvent: text = '{}' } of events) {
      const read = v.safeParse(record, JSON.parse(text));
      if (read.success) found.push(read.output);
    }
    if (found.length >= MOST_EVENTS) break;
  }
  return found;
}

export function isRefused({ errorCode = '' }: HistoryEvent): boolean {
  return /AccessDenied|Unauthorized/.test(errorCode);
}
