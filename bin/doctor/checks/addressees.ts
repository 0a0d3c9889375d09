import { paginateListSubscriptionsByTopic, SubscribeCommand, type Subscription } from '@aws-sdk/client-sns';
import { type Check, type Finding, ofEach } from '../check.ts';

/** Whether somebody gets what the alarms' topic sends: who was mailed and never confirmed does not. */
export const addressees: Check = {
  name: 'addressees of alarms',
  when: 'deployed',
  actions: ['cloudwatch:DescribeAlarms', 'sns:ListSubscriptionsByTopic'],
  fixes: ['sns:Subscribe'],
  async run(deployment) {
    const { clients } = deployment;
    const actions = (await deployment.alarms()).flatMap(({ AlarmActions: arns = [] }) => arns);
    return ofEach(
      [...new Set(actions.filter((arn) => arn.split(':')[2] === 'sns'))],
      (arn) => arn.slice(arn.lastIndexOf(':') + 1),
      async (TopicArn): Promise<Finding[]> => {
        const found: Subscription[] = [];
        for await (const { Subscriptions: page = [] } of paginateListSubscriptionsByTopic(
          { client: clients.sns },
          { TopicArn },
        ))
          found.push(...page);
        if (found.length === 0)
          return [
            {
              status: 'failed',
              saw: 'Nobody is subscribed: alarms reach nobody.',
              mend: `aws sns subscribe --topic-arn ${TopicArn} --protocol email --notification-endpoint ADDRESS`,
            },
          ];
        // Of one that is not confirmed the ARN is a word, such as PendingConfirmation.
        const unconfirmed = found.filter(({ SubscriptionArn: arn }) => !arn?.startsWith('arn:'));
        const nobody = unconfirmed.length === found.length;
        if (unconfirmed.length === 0)
          return [{ status: 'ok', saw: `${found.length} confirmed: ${endpoints(found)}.` }];
        return unconfirmed.map(({ Protocol: protocol = '', Endpoint: endpoint = '' }) => ({
          status: nobody ? 'failed' : 'warning',
          saw: `${endpoint} has not confirmed the subscription and gets nothing${nobody ? ', nor does anybody else' : ''}.`,
          mend: `aws sns subscribe --topic-arn ${TopicArn} --protocol ${protocol} --notification-endpoint ${endpoint}   # sends it anew: "Confirm subscription" in that mail`,
          fix: () =>
            clients.sns.send(new SubscribeCommand({ TopicArn, Protocol: protocol, Endpoint: endpoint })),
        }));
      },
    );
  },
};

function endpoints(subscriptions: Subscription[]): string {
  return subscriptions.map(({ Endpoint: endpoint }) => endpoint).join(', ');
}
