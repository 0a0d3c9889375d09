import { randomUUID } from 'node:crypto';
import type {
  GetTopicAttributesCommandInput,
  ListSubscriptionsByTopicCommandInput,
  PublishCommandInput,
  SubscribeCommandInput,
} from '@aws-sdk/client-sns';
import * as client from '@aws-sdk/client-sns';
import { AwsError } from '../aws-error.ts';
import {
  type Ask,
  anywhere,
  type Cloud,
  type Operations,
  operation,
  required,
  type Service,
  type Topics,
} from '../cloud.ts';
import type { PolicyDocument } from '../policy/document.ts';
import type { Principal } from '../policy/policy.ts';
import { UnknownTemplate } from '../template/properties.ts';
import type { Resource } from '../template/resource.ts';

/** A message that a topic took, with who gets it. */
export interface SnsMessage {
  /** Epoch milliseconds on the rehearsal's clock. */
  time: number;
  topicArn: string;
  subject: string | undefined;
  message: string;
  subscriptions: { protocol: string; endpoint: string }[];
}

interface Subscription {
  topicArn: string;
  protocol: string;
  endpoint: string;
  arn: string;
}

/** Subscriptions that leave AWS: the stand-in keeps their messages. */
const OUTSIDE = ['email', 'email-json', 'http', 'https', 'sms'];

/** Amazon SNS: topics that keep what they are told. */
export class Sns implements Service, Topics {
  readonly signingName = 'sns';
  readonly client = client;
  readonly accessDenied = 'AuthorizationError';
  readonly namespace = 'http://sns.amazonaws.com/doc/2010-03-31/';
  readonly messages: SnsMessage[] = [];
  readonly operations: Operations;
  readonly #aws: Cloud;
  readonly #topics: Resource[];
  readonly #subscriptions: Subscription[] = [];
  /** Endpoints that have not confirmed: nothing is sent to them. */
  readonly unconfirmed = new Set<string>();

  constructor(aws: Cloud) {
    this.#aws = aws;
    this.#topics = aws.deployed.ofType('AWS::SNS::Topic');
    const withPolicy = new Set<string>();
    for (const { properties } of aws.deployed.ofType('AWS::SNS::TopicPolicy')) {
      for (const topic of properties.texts('Topics')) {
        aws.access.attach(topic, properties.policy('PolicyDocument'));
        withPolicy.add(topic);
      }
    }
    for (const { arn, account } of this.#topics) {
      if (!withPolicy.has(arn)) aws.access.attach(arn, defaultPolicy(arn, account));
    }
    for (const { properties, arn } of aws.deployed.ofType('AWS::SNS::Subscription')) {
      this.#subscribe(
        properties.text('TopicArn'),
        properties.text('Protocol'),
        properties.text('Endpoint'),
        arn,
      );
    }
    for (const { properties, arn } of this.#topics) {
      properties.children('Subscription').forEach((item, index) => {
        this.#subscribe(arn, item.text('Protocol'), item.text('Endpoint'), `${arn}:${index}`);
      });
    }
    this.operations = {
      ListTopics: operation(anywhere('sns:ListTopics'), (_input: object, { account, region }) => ({
        Topics: this.#topics
          .filter((topic) => topic.account === account && topic.region === region)
          .map((topic) => ({ TopicArn: topic.arn })),
      })),
      GetTopicAttributes: operation(
        onTopic('GetTopicAttributes'),
        ({ TopicArn }: GetTopicAttributesCommandInput) => ({
          Attributes: {
            TopicArn: this.#topic(TopicArn).arn,
            Owner: this.#topic(TopicArn).account,
            DisplayName: this.#topic(TopicArn).properties.text('DisplayName', ''),
            SubscriptionsConfirmed: String(this.#of(TopicArn ?? '').length),
          },
        }),
      ),
      ListSubscriptions: operation(anywhere('sns:ListSubscriptions'), (_input: object, { account }) => ({
        Subscriptions: this.#listed(account, this.#subscriptions),
      })),
      ListSubscriptionsByTopic: operation(
        onTopic('ListSubscriptionsByTopic'),
        ({ TopicArn }: ListSubscriptionsByTopicCommandInput, { account }) => ({
          Subscriptions: this.#listed(account, this.#of(this.#topic(TopicArn).arn)),
        }),
      ),
      Subscribe: operation(
        onTopic('Subscribe'),
        ({ TopicArn, Protocol = '', Endpoint = '' }: SubscribeCommandInput) => {
          const { arn } = this.#topic(TopicArn);
          // Of one that is not confirmed it sends the mail anew.
          if (!this.#of(arn).some(({ endpoint }) => endpoint === Endpoint)) {
            this.unconfirmed.add(Endpoint);
            this.#subscribe(arn, Protocol, Endpoint, `${arn}:${randomUUID()}`);
          }
          return { SubscriptionArn: 'pending confirmation' };
        },
      ),
      Publish: operation(
        onTopic('Publish'),
        ({ TopicArn, Subject, Message }: PublishCommandInput, { caller }) => {
          const topic = this.#topic(TopicArn);
          if (!Message) throw new AwsError('InvalidParameterException', 'Invalid parameter: Empty message');
          const refused = this.#mayEncrypt(topic, caller.principal, {});
          if (refused !== undefined) throw new AwsError('KMSAccessDeniedException', refused);
          return { MessageId: this.#keep(topic, Subject, Message) };
        },
      ),
    };
  }

  /** A service's message in its own name. What the topic or its key does not allow is dropped. */
  publish(service: string, sourceArn: string, topicArn: string, subject: string, message: string): boolean {
    const topic = this.#topics.find((other) => other.arn === topicArn);
    if (topic === undefined) {
      this.#aws.drop(sourceArn, topicArn, 'the topic is in no template');
      return false;
    }
    const principal: Principal = { kind: 'service', service };
    const conditions = { 'aws:SourceArn': sourceArn, 'aws:SourceAccount': sourceArn.split(':')[4] };
    const refused =
      this.#aws.access.check({ principal, action: 'sns:Publish', resource: topicArn, conditions }) ??
      this.#mayEncrypt(topic, principal, conditions);
    if (refused === undefined) this.#keep(topic, subject, message);
    else this.#aws.drop(sourceArn, topicArn, refused);
    return refused === undefined;
  }

  #mayEncrypt(
    topic: Resource,
    principal: Principal,
    conditions: Record<string, string | undefined>,
  ): string | undefined {
    return this.#aws.access.checkKey(
      topic.properties.text('KmsMasterKeyId', undefined),
      principal,
      ['kms:Decrypt', 'kms:GenerateDataKey'],
      {
        ...conditions,
        'kms:ViaService': `sns.${topic.region}.amazonaws.com`,
        'kms:EncryptionContext:aws:sns:topicArn': topic.arn,
      },
      topic,
    );
  }

  #keep(topic: Resource, subject: string | undefined, message: string): string {
    this.messages.push({
      time: this.#aws.clock.now(),
      topicArn: topic.arn,
      subject,
      message,
      subscriptions: this.#of(topic.arn)
        .filter(({ endpoint }) => !this.unconfirmed.has(endpoint))
        .map(({ protocol, endpoint }) => ({ protocol, endpoint })),
    });
    return randomUUID();
  }

  #subscribe(topicArn: string, protocol: string, endpoint: string, arn: string): void {
    if (!OUTSIDE.includes(protocol)) {
      throw new UnknownTemplate(`${arn}: subscriptions of the protocol ${protocol} are not understood`);
    }
    this.#subscriptions.push({ topicArn, protocol, endpoint, arn });
  }

  #of(topicArn: string) {
    return this.#subscriptions.filter((subscription) => subscription.topicArn === topicArn);
  }

  #listed(account: string, subscriptions: Subscription[]) {
    return subscriptions.map(({ topicArn, protocol, endpoint, arn }) => ({
      SubscriptionArn: this.unconfirmed.has(endpoint) ? 'PendingConfirmation' : arn,
      Owner: account,
      Protocol: protocol,
      Endpoint: endpoint,
      TopicArn: topicArn,
    }));
  }

  #topic(arn: string | undefined): Resource {
    const topic = this.#topics.find((other) => other.arn === arn);
    if (topic === undefined) throw new AwsError('NotFoundException', 'Topic does not exist');
    return topic;
  }
}

/** What a topic has until it gets a policy of its own: the account's services may publish. */
function defaultPolicy(Resource: string, account: string): PolicyDocument {
  const Condition = { StringEquals: { 'aws:SourceAccount': account } };
  return { Statement: { Effect: 'Allow', Principal: '*', Action: 'sns:Publish', Resource, Condition } };
}

function onTopic(operation: string) {
  return ({ TopicArn }: { TopicArn?: string | undefined }): Ask[] => [
    { action: `sns:${operation}`, resource: required(TopicArn) },
  ];
}
