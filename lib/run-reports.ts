import { Stack } from 'aws-cdk-lib';
import { REPORT_EVENT_SOURCE, REPORT_EVENT_TYPE } from '../functions/shared/run/report.ts';
import type { UpkeepFunction } from './upkeep-function.ts';

/** Lets a function put run reports, and nothing else, on the account's default bus. */
export function letPublishReports(upkeepFunction: UpkeepFunction): void {
  const { partition, region, account } = Stack.of(upkeepFunction);
  upkeepFunction.allow(
    'PublishRunReports',
    ['events:PutEvents'],
    [`arn:${partition}:events:${region}:${account}:event-bus/default`],
    { StringEquals: { 'events:source': REPORT_EVENT_SOURCE, 'events:detail-type': REPORT_EVENT_TYPE } },
  );
}
