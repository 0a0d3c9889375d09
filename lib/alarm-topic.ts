import { Stack } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { deploymentName, emails } from './checks/fields.ts';
import { checkProps, propertyNames } from './checks/props.ts';

/** What an `AlarmTopic` is made of. */
export interface AlarmTopicProps {
  /** The alarms whose names begin with it and a hyphen may publish. */
  readonly deployment: string;
  /** Each must confirm the subscription that SNS mails to it. @default none */
  readonly emails?: string[];
  /** Its policy gets what CloudWatch needs, unless it is imported. @default not encrypted: alarms name resources, and hold nothing of a message */
  readonly encryptionKey?: IKey;
}

const NAMES = propertyNames<AlarmTopicProps>({ deployment: true, emails: true, encryptionKey: true });

const PROPS = v.looseObject({
  deployment: deploymentName('Whose alarms may publish.'),
  emails: v.optional(emails('Who is mailed.')),
});

/** The topic that a deployment's alarms go to: TLS only, and only those alarms may publish. */
export class AlarmTopic extends Construct {
  /** Where the alarms go. */
  readonly topic: Topic;

  constructor(scope: Construct, id: string, props: AlarmTopicProps) {
    super(scope, id);
    checkProps(this, PROPS, props, undefined, NAMES);
    const { deployment, emails = [], encryptionKey } = props;
    const { partition, region, account } = Stack.of(this);
    this.topic = new Topic(this, 'Topic', {
      topicName: `${deployment}-upkeep-alarms`,
      displayName: `Upkeep of ${deployment}`,
      enforceSSL: true,
      ...(encryptionKey && { masterKey: encryptionKey }),
    });
    // A topic with a policy of its own loses SNS's default one, by which CloudWatch could publish.
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsPublish',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: {
          StringEquals: { 'aws:SourceAccount': account },
          ArnLike: {
            'aws:SourceArn': `arn:${partition}:cloudwatch:${region}:${account}:alarm:${deployment}-*`,
          },
        },
      }),
    );
    encryptionKey?.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsReachTheTopic',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey*'],
        resources: ['*'],
        conditions: { StringEquals: { 'aws:SourceAccount': account } },
      }),
    );
    for (const email of emails) this.topic.addSubscription(new EmailSubscription(email));
  }
}
