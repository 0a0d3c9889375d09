import { paginateListSubscriptionsByTopic, type SNSClient } from '@aws-sdk/client-sns';

/** Whether anybody gets what is sent to a topic. Who was mailed and never confirmed does not. */
export async function reachesAnybody(sns: SNSClient, topicArn: string): Promise<boolean> {
  const pages = paginateListSubscriptionsByTopic({ client: sns }, { TopicArn: topicArn });
  for await (const { Subscriptions: subscriptions = [] } of pages)
    if (subscriptions.some(({ SubscriptionArn: arn }) => arn?.startsWith('arn:'))) return true;
  return false;
}
