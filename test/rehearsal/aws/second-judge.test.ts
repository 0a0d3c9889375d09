/**
 * A second judge of the stand-in's queues, topics and buckets: fauxqs, an emulator of them that nobody here wrote. Both are asked the same
 * by AWS's SDK, step by step, and have to answer alike. Where they do not it is written here, with what AWS says.
 * `test/functions/message-gc/mark-messages-read.test.ts` has a function's own bundle receive from it.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import {
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  PublishCommand,
  SNSClient,
  SubscribeCommand,
} from '@aws-sdk/client-sns';
import {
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { Duration } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { Subscription, SubscriptionProtocol, Topic } from 'aws-cdk-lib/aws-sns';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { ACCOUNT, deploy, REGION } from './deploy.ts';

const MAIL = 'oncall@example.com';

/** One of the two, and how its resources are called. */
interface Judged {
  sqs: SQSClient;
  sns: SNSClient;
  s3: S3Client;
  account: string;
  endpoint: string;
}

/** What an answer has that is different each time, or by who answers. */
const OF_EACH = new Set([
  ...['$metadata', 'MessageId', 'ReceiptHandle', 'SubscriptionArn', 'LastModified', 'SenderId', 'Owner'],
  ...['SentTimestamp', 'ApproximateFirstReceiveTimestamp', 'TopicArn', 'QueueUrl', 'Type'],
]);

/** What is asked, in order, with the answer to each by its name. */
class Conversation {
  readonly answers: Record<string, unknown> = {};

  /** Notes the answer, or the error's name, and gives the answer. */
  async ask<Answer>(what: string, sending: Promise<Answer>): Promise<Answer | undefined> {
    try {
      const answer = await sending;
      this.answers[what] = plain(answer);
      return answer;
    } catch (error) {
      this.answers[what] = (error as Error).name;
      return undefined;
    }
  }
}

function plain(answer: unknown): unknown {
  return JSON.parse(
    JSON.stringify(answer, (key, value) => {
      if (OF_EACH.has(key)) return undefined;
      // The SDK gives bytes as a view or as a buffer.
      return value?.type === 'Buffer' ? Uint8Array.from(value.data) : value;
    }) ?? 'null',
  );
}

/** Both answer the same conversation, but for these answers: the stand-in's and the other's. */
async function both(
  speak: (judged: Judged, to: Conversation) => Promise<void>,
  differences: Record<string, [ours: unknown, theirs: unknown]> = {},
): Promise<void> {
  const [ours = assert.fail(), theirs = assert.fail()] = await Promise.all(
    judges.map(async (judged) => {
      const conversation = new Conversation();
      await speak(judged, conversation);
      return conversation.answers;
    }),
  );
  const different = Object.keys(ours).filter((what) => !isDeepStrictEqual(ours[what], theirs[what]));
  assert.deepEqual(
    Object.fromEntries(different.map((what) => [what, [ours[what], theirs[what]]])),
    differences,
  );
  assert.deepEqual(Object.keys(ours), Object.keys(theirs));
}

let judges: Judged[] = [];
let fauxqs: FauxqsServer;
let over: () => void = () => {};
let deployed: Promise<void>;

before(async () => {
  fauxqs = await startFauxqs({ port: 0, logger: false, defaultRegion: REGION });
  const [orders, dead] = ['orders', 'dead'].map((name) => ({ name, region: REGION }));
  assert.ok(orders && dead);
  fauxqs.setup({
    queues: [
      dead,
      {
        ...orders,
        attributes: {
          VisibilityTimeout: '60',
          MessageRetentionPeriod: '86400',
          RedrivePolicy: JSON.stringify({
            deadLetterTargetArn: `arn:aws:sqs:${REGION}:000000000000:dead`,
            maxReceiveCount: 3,
          }),
        },
      },
    ],
    topics: [{ name: 'alarms', region: REGION }],
    buckets: ['logs'],
  });
  const theirs = { endpoint: `http://127.0.0.1:${fauxqs.port}`, region: REGION, maxAttempts: 1 };
  const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'example' };
  await new Promise<void>((ready, fail) => {
    deployed = deploy(
      (stack) => {
        const dead = new Queue(stack, 'Dead', { queueName: 'dead' });
        new Queue(stack, 'Orders', {
          queueName: 'orders',
          visibilityTimeout: Duration.seconds(60),
          retentionPeriod: Duration.days(1),
          deadLetterQueue: { queue: dead, maxReceiveCount: 3 },
        });
        const topic = new Topic(stack, 'Alarms', { topicName: 'alarms' });
        new Subscription(stack, 'Mail', {
          topic,
          protocol: SubscriptionProtocol.EMAIL,
          endpoint: MAIL,
        });
        new Bucket(stack, 'Logs', { bucketName: 'logs' });
      },
      ({ client }) =>
        new Promise((end) => {
          over = end;
          const of = (options: ReturnType<typeof client>, account: string): Judged => ({
            sqs: new SQSClient(options),
            sns: new SNSClient(options),
            s3: new S3Client({ ...options, forcePathStyle: true }),
            account,
            endpoint: options.endpoint,
          });
          judges = [
            of(client(), ACCOUNT),
            of({ ...theirs, credentials: { ...credentials, sessionToken: '' } }, '000000000000'),
          ];
          ready();
        }),
      { start: 'now' },
    );
    deployed.catch(fail);
  });
  const [, { sns } = assert.fail()] = judges;
  const TopicArn = `arn:aws:sns:${REGION}:000000000000:alarms`;
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'email', Endpoint: MAIL }));
});
after(async () => {
  for (const { sqs, sns, s3 } of judges) for (const client of [sqs, sns, s3]) client.destroy();
  over();
  await deployed;
  await fauxqs.stop();
});

/** Receives until it has so many: how many come at a time SQS does not promise. In the order of their bodies. */
async function receive(sqs: SQSClient, QueueUrl: string, count: number, seconds?: number) {
  const all = [];
  for (let tries = 0; all.length < count && tries < 20; tries++) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        MessageSystemAttributeNames: ['All'],
        MessageAttributeNames: ['All'],
        ...(seconds !== undefined && { VisibilityTimeout: seconds }),
      }),
    );
    all.push(...Messages);
  }
  return all.sort((a, b) => (a.Body ?? '').localeCompare(b.Body ?? ''));
}

const COUNTS = [
  'ApproximateNumberOfMessages',
  'ApproximateNumberOfMessagesNotVisible',
  'ApproximateNumberOfMessagesDelayed',
] as const;

test('queues: what is sent is received once, hidden, given back, deleted, and led to the dead letters', () =>
  both(
    async ({ sqs }, to) => {
      await to.ask('a queue that is not there', sqs.send(new GetQueueUrlCommand({ QueueName: 'none' })));
      const urlOf = async (QueueName: string) =>
        (await sqs.send(new GetQueueUrlCommand({ QueueName }))).QueueUrl ?? '';
      const [QueueUrl, dead] = [await urlOf('orders'), await urlOf('dead')];
      const attributes = (what: string) =>
        to.ask(what, sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [...COUNTS] })));
      await to.ask(
        "the queue's own",
        sqs.send(
          new GetQueueAttributesCommand({
            QueueUrl,
            AttributeNames: [
              'VisibilityTimeout',
              'MessageRetentionPeriod',
              'DelaySeconds',
              'MaximumMessageSize',
            ],
          }),
        ),
      );
      await to.ask('receive from an empty one', sqs.send(new ReceiveMessageCommand({ QueueUrl })));
      await to.ask(
        'send with attributes',
        sqs.send(
          new SendMessageCommand({
            QueueUrl,
            MessageBody: 'a: grün',
            MessageAttributes: {
              text: { DataType: 'String', StringValue: 'é' },
              number: { DataType: 'Number', StringValue: '1' },
              bytes: { DataType: 'Binary', BinaryValue: Uint8Array.of(0, 255) },
            },
          }),
        ),
      );
      const entries = (...ids: string[]) => ids.map((Id) => ({ Id, MessageBody: `b${Id}` }));
      const sendBatch = (Entries: ReturnType<typeof entries>) =>
        sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
      await to.ask('send three', sendBatch(entries('1', '2', '3')));
      await to.ask('send two of an id', sendBatch(entries('1', '1')));
      await to.ask('send none', sendBatch([]));
      await to.ask('send eleven', sendBatch(entries(...Array.from({ length: 11 }, (_, id) => `${id}`))));
      await to.ask(
        'send what is too long',
        sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x'.repeat(1_048_577) })),
      );
      await attributes('waiting');
      for (const MaxNumberOfMessages of [0, 11])
        await to.ask(
          `receive ${MaxNumberOfMessages}`,
          sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages })),
        );
      const first = await receive(sqs, QueueUrl, 4);
      to.answers['the four'] = plain(first);
      await to.ask('receive what is hidden', sqs.send(new ReceiveMessageCommand({ QueueUrl })));
      await attributes('in flight');
      const receipts = first.map(({ ReceiptHandle = '' }) => ReceiptHandle);
      const hide = (ReceiptHandle: string | undefined, VisibilityTimeout: number) =>
        sqs.send(new ChangeMessageVisibilityCommand({ QueueUrl, ReceiptHandle, VisibilityTimeout }));
      await to.ask('hide longer than twelve hours', hide(receipts[0], 43_201));
      await to.ask('hide by a receipt of nowhere', hide('nowhere', 10));
      await to.ask(
        'give two back, and one of nowhere',
        sqs.send(
          new ChangeMessageVisibilityBatchCommand({
            QueueUrl,
            Entries: [receipts[0], receipts[1]].map((ReceiptHandle, id) => ({
              Id: `${id}`,
              ReceiptHandle,
              VisibilityTimeout: 0,
            })),
          }),
        ),
      );
      await attributes('two given back');
      await to.ask(
        'delete two',
        sqs.send(
          new DeleteMessageBatchCommand({
            QueueUrl,
            Entries: receipts.slice(2).map((ReceiptHandle, id) => ({ Id: `${id}`, ReceiptHandle })),
          }),
        ),
      );
      const deleted = receipts.at(-1);
      await to.ask('delete again', sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: deleted })));
      await to.ask('hide what is deleted', hide(deleted, 10));
      for (const time of ['second', 'third']) {
        const again = await receive(sqs, QueueUrl, 2, 0);
        to.answers[`the two a ${time} time`] = plain(again.map(({ Body, Attributes }) => [Body, Attributes]));
      }
      await to.ask('receive a fourth time', sqs.send(new ReceiveMessageCommand({ QueueUrl })));
      await attributes('led away');
      const letters = await receive(sqs, dead, 2);
      to.answers['the dead letters'] = plain(letters.map(({ Body }) => Body));
      await to.ask('empty it', sqs.send(new PurgeQueueCommand({ QueueUrl: dead })));
      await to.ask(
        'emptied',
        sqs.send(new GetQueueAttributesCommand({ QueueUrl: dead, AttributeNames: [...COUNTS] })),
      );
    },
    {
      // SQS's code in its JSON protocol is InvalidParameterValue; the other has that of a header beside it, for clients of the old protocol.
      ...Object.fromEntries(
        ['send what is too long', 'receive 0', 'receive 11', 'hide longer than twelve hours'].map((what) => [
          what,
          ['InvalidParameterValue', 'AWS.SimpleQueueService.InvalidParameterValue'],
        ]),
      ),
      // SQS has an error for what is no receipt; the other looks only among what is in flight.
      'hide by a receipt of nowhere': ['ReceiptHandleIsInvalid', 'MessageNotInflight'],
    },
  ));

test('topics: who is told, who has not confirmed, and one that is not there', () =>
  both(
    async ({ sns, account }, to) => {
      const TopicArn = `arn:aws:sns:${REGION}:${account}:alarms`;
      const none = `arn:aws:sns:${REGION}:${account}:none`;
      await to.ask('publish', sns.send(new PublishCommand({ TopicArn, Subject: 's', Message: 'm' })));
      await to.ask('publish to none', sns.send(new PublishCommand({ TopicArn: none, Message: 'm' })));
      await to.ask('publish nothing', sns.send(new PublishCommand({ TopicArn, Message: '' })));
      await to.ask('subscribers', sns.send(new ListSubscriptionsByTopicCommand({ TopicArn })));
      await to.ask('subscribers of none', sns.send(new ListSubscriptionsByTopicCommand({ TopicArn: none })));
      await to.ask('attributes of none', sns.send(new GetTopicAttributesCommand({ TopicArn: none })));
      const subscribed = await sns.send(
        new SubscribeCommand({ TopicArn, Protocol: 'email', Endpoint: 'second@example.com' }),
      );
      to.answers['subscribe by mail'] = subscribed.SubscriptionArn?.replace(/^arn:.*/, 'an ARN');
    },
    {
      // SNS's reference has NotFound among the errors of ListSubscriptionsByTopic; the other finds nobody.
      'subscribers of none': ['NotFoundException', { Subscriptions: [] }],
      // A mail has to be confirmed. The other holds each subscriber for confirmed at once.
      'subscribe by mail': ['pending confirmation', 'an ARN'],
    },
  ));

/** What is answered to a put. */
const PUT = {
  ChecksumSHA256: 'eG4YSSfsndrDB5wkmZrEYbfLiYiPae/AU4SPLW3ufdY=',
  ChecksumType: 'FULL_OBJECT',
  ETag: '"bdd6a92cd10ae454d62ed203abe3fe92"',
};
/** With the SDK's own checksum, where none is asked for. */
const PUT_AGAIN = { ChecksumCRC32: 'F/svCg==', ChecksumType: PUT.ChecksumType, ETag: PUT.ETag };
const WRONG_CHECKSUM = `${'A'.repeat(43)}=`;

test('buckets: what is put is got, by a part of the key too, and not put twice where that is asked', () =>
  both(
    async ({ s3 }, to) => {
      const [Bucket, Body] = ['logs', Buffer.from('a line\n')];
      const Key = 'shop/web/2026-11-24/a+b c.gz';
      const put = (more: object) => s3.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
      await to.ask('put', put({ ChecksumAlgorithm: 'SHA256' }));
      await to.ask('put once more where there must be none', put({ IfNoneMatch: '*' }));
      await to.ask('put with a wrong checksum', put({ Key: 'wrong', ChecksumSHA256: WRONG_CHECKSUM }));
      await to.ask('put into no bucket', put({ Bucket: 'none' }));
      const { Body: got, ...rest } = await s3.send(new GetObjectCommand({ Bucket, Key }));
      to.answers.got = [await got?.transformToString(), rest.ContentLength, rest.ETag];
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key }));
      to.answers.head = [head.ContentLength, head.ETag];
      await to.ask('get what is not there', s3.send(new GetObjectCommand({ Bucket, Key: 'none' })));
      await to.ask('ask for what is not there', s3.send(new HeadObjectCommand({ Bucket, Key: 'none' })));
      for (const name of ['b', 'a', 'c/d']) await put({ Key: `list/${name}` });
      const list = (more: object) =>
        s3.send(new ListObjectsV2Command({ Bucket, Prefix: 'list/', MaxKeys: 2, ...more }));
      const page = await list({});
      to.answers['a page'] = [page.Contents?.map((each) => each.Key), page.IsTruncated, page.KeyCount];
      const next = await list({ ContinuationToken: page.NextContinuationToken });
      to.answers['the next page'] = [next.Contents?.map((each) => each.Key), next.IsTruncated, next.KeyCount];
    },
    {
      // Since 2023 S3 encrypts whatever is put, and says so. The other leaves that out.
      put: [{ ...PUT, ServerSideEncryption: 'AES256' }, PUT],
      // The other looks neither at conditions nor at checksums.
      'put once more where there must be none': ['PreconditionFailed', PUT_AGAIN],
      'put with a wrong checksum': ['BadDigest', { ...PUT, ChecksumSHA256: WRONG_CHECKSUM }],
    },
  ));
