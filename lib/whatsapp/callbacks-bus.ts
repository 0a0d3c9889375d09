import { Duration, Stack } from 'aws-cdk-lib';
import { type Alarm, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { CfnEventBus, EventBus, Match, Rule } from 'aws-cdk-lib/aws-events';
import {
  AccountPrincipal,
  ArnPrincipal,
  type IPrincipal,
  PolicyStatement,
  ServicePrincipal,
} from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import * as v from 'valibot';
import { CALLBACK_SOURCE } from '../../functions/callback-relay/contract.ts';
import { callbacksBusName } from '../../functions/shared/whatsapp/callbacks-traffic.ts';
import { deploymentName, field } from '../checks/fields.ts';
import type { Finding } from '../checks/mistakes.ts';
import { checkProps } from '../checks/props.ts';
import { DeadLetterQueue, letterQueue } from '../dead-letter-queue.ts';
import { encryptedQueue, letRulesSend } from '../encryption.ts';
import { alarmOnAny, ONE_CAUSE } from '../upkeep-alarm.ts';
import type { UpkeepFunction } from '../upkeep-function.ts';
import { callbackSender } from './configuration/fields.ts';

/** What a `CallbacksBus` is made of. */
export interface CallbacksBusProps {
  /** Begins the names of what is made. */
  readonly deployment: string;
  /** Where the alarms go. */
  readonly topic: ITopic;
  /** @default keys that AWS owns */
  readonly encryptionKey?: IKey | undefined;
  /**
   * Keeps inbound messages until they are marked read.
   * @default false: they are not kept
   */
  readonly keepUnreadMessages?: boolean;
  /**
   * Who may put events on the bus by the bus's policy: role ARNs, and numbers of other accounts, which then decide
   * themselves. Roles of the bus's own account may do so by a policy of their own as well.
   * @default nobody
   */
  readonly senders?: string[];
}

const PROPS = v.looseObject({
  deployment: deploymentName('Begins the names of what is made.'),
  senders: v.optional(
    field(v.array(callbackSender()), 'a list of role ARNs and numbers of other accounts', 'Who may send.'),
  ),
});

/**
 * The way of the WhatsApp client's callbacks: the business's webhook puts each payload, verbatim, as an event's
 * detail on this bus, and rules send what a job waits for to that job's queue.
 */
export class CallbacksBus extends Construct {
  /** The deployment whose callbacks it takes. */
  readonly deployment: string;
  /** The bus on which the webhook puts callbacks. */
  readonly bus: EventBus;
  /** The client's notifications of garbage collection, of messages and of media. */
  readonly gcNotifications: Queue;
  /** Inbound messages, if they are kept. */
  readonly unreadMessages: Queue | undefined;

  /** Of each rule: rings when EventBridge gives up a callback and cannot keep it in the dead-letter queue either. */
  readonly undeliveredAlarms: Alarm[];

  private readonly props: CallbacksBusProps;
  private readonly undelivered: DeadLetterQueue;

  constructor(scope: Construct, id: string, props: CallbacksBusProps) {
    super(scope, id);
    checkProps(this, PROPS, props, () => this.findings(props));
    this.props = props;
    this.deployment = props.deployment;
    const { deployment, topic, encryptionKey, senders = [] } = props;
    this.undelivered = new DeadLetterQueue(this, 'Undelivered', {
      queueName: `${deployment}-callbacks-dead-letters`,
      meaning: `EventBridge could not deliver a callback of ${deployment} to its queue: the run that waits for it will ask again, or a message stays unread.`,
      whatToDo: [
        'Read the message: its attributes ERROR_CODE and ERROR_MESSAGE give the cause, RULE_ARN the rule.',
        "Most often a queue's or key's policy was changed by hand: deploy the stack again.",
      ],
      topic,
      // Encrypted by SQS: with the deployment's key, a policy that shuts EventBridge out of that would shut it out of here as
      // well, and what was lost would be told by nobody.
    });
    this.bus = new EventBus(this, 'Bus', {
      eventBusName: callbacksBusName(deployment),
      description: `Callbacks of the WhatsApp client ${deployment}, as its webhook received them`,
      ...(encryptionKey && { deadLetterQueue: this.undelivered.queue }),
    });
    if (encryptionKey) this.encryptBus(encryptionKey);
    if (senders.length > 0)
      this.bus.addToResourcePolicy(
        new PolicyStatement({
          sid: 'SendersPutCallbacks',
          principals: senders.map(principalOf),
          actions: ['events:PutEvents'],
          resources: [this.bus.eventBusArn],
          // What the rules go by is the detail; the source keeps others of those roles' events off this bus.
          conditions: { StringEquals: { 'events:source': CALLBACK_SOURCE } },
        }),
      );

    this.gcNotifications = this.createQueue('GcNotifications', {
      name: 'gc-notifications',
      // Read within seconds of being received; a run that dies in between gets them again.
      visibilityTimeout: Duration.minutes(2),
      retentionPeriod: Duration.days(2),
      maxReceiveCount: 5,
      whatToDo: [
        'Read the message: a run could not use it five times. What the client sends may have changed.',
        'Compare it with the forms in functions/shared/whatsapp, and report the difference.',
      ],
    });
    // It hands nothing on. EventBridge counts what matches it: how much comes at which hours (`wa-upkeep window`).
    new Rule(this, 'Traffic', {
      eventBus: this.bus,
      ruleName: callbacksBusName(deployment),
      description: `Counts the callbacks of ${deployment}`,
      // Not those that name another deployment alone: on a bus that several have, the window would be judged by their traffic. An
      // empty list is no value for EventBridge's matcher (github.com/aws/event-ruler, Event.java), as if it did not exist.
      eventPattern: {
        source: [CALLBACK_SOURCE],
        resources: Match.anyOf(deployment, Match.prefix('arn:'), Match.doesNotExist()),
      },
    });

    // Two rules: a payload of either kind goes to the queue, and a pattern has no "or" across paths of an array
    // that was ever shown to work.
    const gcStatus = { gc: { status: [{ exists: true }] } };
    const rules = [
      this.createRule('MessageGc', { services: { message: gcStatus } }, this.gcNotifications),
      this.createRule('MediaGc', { services: { media: gcStatus } }, this.gcNotifications),
    ];
    letRulesSend(
      this.gcNotifications,
      'RulesSend',
      rules.map((rule) => rule.ruleArn),
    );

    // Made in any case: once messages are no longer kept, what is in it stays as long as each has left.
    const unreadMessages = this.createQueue('UnreadMessages', {
      name: 'unread-messages',
      // As long as one invocation of the job: what it received and did not deal with comes back for the next.
      visibilityTimeout: Duration.minutes(15),
      // SQS's maximum; the client itself marks nothing read that is older than 30 days.
      retentionPeriod: Duration.days(14),
      // SQS's maximum: a message is received again each night until it is old enough.
      maxReceiveCount: 1000,
      ...(props.keepUnreadMessages && {
        whatToDo: [
          'Read the message: for many nights it could neither be marked read nor dropped.',
          'Look in the log of message-gc for its id.',
        ],
      }),
    });
    if (props.keepUnreadMessages) {
      this.unreadMessages = unreadMessages;
      const rule = this.createRule('Inbound', { messages: { id: [{ exists: true }] } }, unreadMessages);
      letRulesSend(unreadMessages, 'RulesSend', [rule.ruleArn]);
      rules.push(rule);
    }
    letRulesSend(
      this.undelivered.queue,
      'RulesSendDeadLetters',
      rules.map((rule) => rule.ruleArn),
    );
    if (encryptionKey) letRulesSend(this.undelivered.queue, 'BusSendsDeadLetters', [this.bus.eventBusArn]);
    this.undeliveredAlarms = rules.map((rule) => this.createUndeliveredAlarm(rule));
  }

  /** Lets a function read one of the queues. */
  letReceive(upkeepFunction: UpkeepFunction, sid: string, queue: Queue, moreActions: string[] = []): void {
    upkeepFunction.allow(
      sid,
      ['sqs:ChangeMessageVisibility', 'sqs:DeleteMessage', 'sqs:ReceiveMessage', ...moreActions],
      [queue.queueArn],
    );
    const { encryptionKey } = this.props;
    if (encryptionKey) upkeepFunction.allowDecrypt(encryptionKey);
  }

  /** The policy that the webhook's role needs, where it is not among the senders. */
  senderPolicy(): string {
    return Stack.of(this).toJsonString({
      Version: '2012-10-17',
      Statement: [
        {
          Effect: 'Allow',
          Action: 'events:PutEvents',
          Resource: this.bus.eventBusArn,
          Condition: { StringEquals: { 'events:source': CALLBACK_SOURCE } },
        },
      ],
    });
  }

  /**
   * As EventBridge's guide has it for a bus with a key. What CDK adds where it is given the key has the source among its
   * conditions for all three actions, and DescribeKey carries none of them.
   */
  private encryptBus(key: IKey): void {
    const bus = this.bus.node.defaultChild;
    if (bus instanceof CfnEventBus) bus.kmsKeyIdentifier = key.keyArn;
    const principals = [new ServicePrincipal('events.amazonaws.com')];
    key.addToResourcePolicy(
      new PolicyStatement({
        sid: 'BusDescribesKey',
        principals,
        actions: ['kms:DescribeKey'],
        resources: ['*'],
      }),
    );
    // By its name: the bus itself waits for the key.
    const busArn = Stack.of(this).formatArn({
      service: 'events',
      resource: 'event-bus',
      resourceName: `${this.props.deployment}-callbacks`,
    });
    key.addToResourcePolicy(
      new PolicyStatement({
        sid: 'BusEncrypts',
        principals,
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'],
        conditions: { StringEquals: { 'kms:EncryptionContext:aws:events:event-bus:arn': busArn } },
      }),
    );
  }

  /** What no single property can say. */
  private findings({ senders = [] }: CallbacksBusProps): Finding[] {
    const { account } = Stack.of(this);
    return senders.flatMap((sender, index) =>
      sender === account
        ? [
            {
              field: ['senders', index],
              problem:
                "is the bus's own account, which a policy lets nobody in by: name the webhook's role, or attach the policy that the stack prints to it.",
            },
          ]
        : [],
    );
  }

  private createQueue(
    id: string,
    queue: {
      name: string;
      visibilityTimeout: Duration;
      retentionPeriod: Duration;
      maxReceiveCount: number;
      /** @default no alarm, for nothing is received from the queue */
      whatToDo?: string[];
    },
  ): Queue {
    const { deployment, topic, encryptionKey } = this.props;
    const queueName = `${deployment}-${queue.name}`;
    const named = { queueName: `${queueName}-dead-letters`, encryptionKey };
    const deadLetters = queue.whatToDo
      ? new DeadLetterQueue(this, `${id}DeadLetters`, {
          ...named,
          meaning: `A message of the queue ${queueName} was received ${queue.maxReceiveCount} times and never dealt with.`,
          whatToDo: queue.whatToDo,
          topic,
          isOfQueue: true,
        }).queue
      : letterQueue(new Construct(this, `${id}DeadLetters`), named);
    return encryptedQueue(this, id, {
      queueName,
      encryptionKey,
      visibilityTimeout: queue.visibilityTimeout,
      retentionPeriod: queue.retentionPeriod,
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: queue.maxReceiveCount },
    });
  }

  private createUndeliveredAlarm(rule: Rule): Alarm {
    const { deployment, topic } = this.props;
    const what = rule.node.id
      .replace(/Rule$/, '')
      .replace(/(?<=[a-z])[A-Z]/g, '-$&')
      .toLowerCase();
    return alarmOnAny(this, `${rule.node.id}Undelivered`, {
      alarmName: `${deployment}-callbacks-undelivered-${what}`,
      meaning: `EventBridge gave up callbacks of ${deployment} (rule ${what}) that it could put neither into their queue nor into ${deployment}-callbacks-dead-letters: the run that waits for one will ask again, or a message stays unread.`,
      whatToDo: [
        'The policies of both queues, or their key, shut EventBridge out: compare them with the template, or deploy the stack again.',
      ],
      topic,
      metric: new Metric({
        namespace: 'AWS/Events',
        // Of those that came into the dead letters, whose alarm tells, `FailedInvocations` may have counted too.
        metricName: 'InvocationsFailedToBeSentToDlq',
        dimensionsMap: { EventBusName: this.bus.eventBusName, RuleName: rule.ruleName },
        statistic: 'Sum',
      }),
      quietAfter: ONE_CAUSE,
    });
  }

  private createRule(id: string, detail: Record<string, unknown>, queue: Queue): Rule {
    return new Rule(this, `${id}Rule`, {
      eventBus: this.bus,
      eventPattern: { detail },
      targets: [
        {
          // The queues' policies are written here, for the ready-made target leaves the source out of them where
          // the queue has a key, and gives the dead-letter queue's key nothing.
          bind: () => ({
            arn: queue.queueArn,
            deadLetterConfig: { arn: this.undelivered.queue.queueArn },
            retryPolicy: {
              maximumEventAgeInSeconds: Duration.hours(1).toSeconds(),
              maximumRetryAttempts: 100,
            },
          }),
        },
      ],
    });
  }
}

function principalOf(sender: string): IPrincipal {
  return /^\d{12}$/.test(sender) ? new AccountPrincipal(sender) : new ArnPrincipal(sender);
}
