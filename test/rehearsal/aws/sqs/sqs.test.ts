import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  type Message,
  OverLimit,
  QueueDoesNotExist,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { Duration, type Stack } from 'aws-cdk-lib';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Clock } from '../../../../rehearsal/aws/clock.ts';
import type { Aws } from '../../../../rehearsal/aws/server.ts';
import { ACCOUNT, deploy, HOUR, MINUTE } from '../deploy.ts';

function define(stack: Stack): void {
  const dead = new Queue(stack, 'Dead', { queueName: 'dead', retentionPeriod: Duration.days(14) });
  new Queue(stack, 'Orders', {
    queueName: 'orders',
    visibilityTimeout: Duration.seconds(60),
    retentionPeriod: Duration.days(1),
    deadLetterQueue: { queue: dead, maxReceiveCount: 3 },
  });
}

function withQueue(
  work: (sqs: SQSClient, QueueUrl: string, clock: Clock, aws: Aws) => Promise<void>,
): Promise<void> {
  return deploy(define, async ({ aws, clock, client }) => {
    const sqs = new SQSClient(client());
    const { QueueUrl = '' } = await sqs.send(new GetQueueUrlCommand({ QueueName: 'orders' }));
    await work(sqs, QueueUrl, clock, aws);
    sqs.destroy();
  });
}

async function attributes(sqs: SQSClient, QueueUrl: string) {
  const { Attributes = {} } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
  );
  return Attributes;
}

test('gives a message with its attributes, hides it, and forgets it once it is deleted', () =>
  withQueue(async (sqs, QueueUrl, clock) => {
    await sqs.send(
      new SendMessageCommand({
        QueueUrl,
        MessageBody: 'grün',
        MessageAttributes: {
          b: { DataType: 'Binary', BinaryValue: Uint8Array.of(1, 2) },
          a: { DataType: 'String', StringValue: 'x' },
        },
      }),
    );
    const receive = new ReceiveMessageCommand({
      QueueUrl,
      MessageAttributeNames: ['All'],
      MessageSystemAttributeNames: ['ApproximateReceiveCount'],
    });
    const { Messages: [first] = [] } = await sqs.send(receive);
    assert.equal(first?.Body, 'grün');
    assert.equal(first.MessageAttributes?.a?.StringValue, 'x');
    assert.deepEqual(first.MessageAttributes?.b?.BinaryValue, Uint8Array.of(1, 2));
    assert.equal(first.Attributes?.ApproximateReceiveCount, '1');
    assert.equal((await sqs.send(receive)).Messages, undefined);
    assert.equal((await attributes(sqs, QueueUrl)).ApproximateNumberOfMessagesNotVisible, '1');
    await clock.runUntil(clock.now() + MINUTE);
    const { Messages: [again] = [] } = await sqs.send(receive);
    assert.equal(again?.Attributes?.ApproximateReceiveCount, '2');
    await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: again.ReceiptHandle }));
    await clock.runUntil(clock.now() + MINUTE);
    assert.equal((await sqs.send(receive)).Messages, undefined);
  }));

test('gives thousands of messages in no order, at most ten at a time, each once', () =>
  withQueue(async (sqs, QueueUrl) => {
    for (let batch = 0; batch < 30; batch++) {
      await sqs.send(
        new SendMessageBatchCommand({
          QueueUrl,
          Entries: Array.from({ length: 10 }, (_, index) => ({
            Id: String(index),
            MessageBody: String(batch * 10 + index),
          })),
        }),
      );
    }
    const received: Message[] = [];
    for (;;) {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }),
      );
      if (Messages.length === 0) break;
      assert.ok(Messages.length <= 10);
      received.push(...Messages);
    }
    const numbers = received.map(({ Body }) => Number(Body));
    assert.equal(new Set(numbers).size, 300);
    assert.notDeepEqual(
      numbers,
      [...numbers].sort((left, right) => left - right),
    );
  }));

test('a long poll that finds nothing takes its time on the clock, not for real', () =>
  withQueue(async (sqs, QueueUrl, clock) => {
    const before = clock.now();
    await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }));
    assert.ok(clock.now() - before >= 20_000 && clock.now() - before < 30_000);
  }));

test('moves a message that was received too often to the dead-letter queue, where it keeps its age', () =>
  withQueue(async (sqs, QueueUrl, clock, aws) => {
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'poison' }));
    for (let count = 0; count < 4; count++) {
      await sqs.send(new ReceiveMessageCommand({ QueueUrl }));
      await clock.runUntil(clock.now() + MINUTE);
    }
    assert.deepEqual(aws.sqs.bodies('orders'), []);
    assert.deepEqual(aws.sqs.bodies('dead'), ['poison']);
    await clock.runUntil(clock.now() + 14 * 24 * HOUR);
    assert.deepEqual(aws.sqs.bodies('dead'), []);
  }));

test('forgets a message after its retention', () =>
  withQueue(async (sqs, QueueUrl, clock, aws) => {
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'old' }));
    await clock.runUntil(clock.now() + 23 * HOUR);
    assert.deepEqual(aws.sqs.bodies('orders'), ['old']);
    await clock.runUntil(clock.now() + 2 * HOUR);
    assert.deepEqual(aws.sqs.bodies('orders'), []);
  }));

test('hides a message for at most twelve hours from its receive', () =>
  withQueue(async (sqs, QueueUrl, clock) => {
    await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'young' }));
    const { Messages: [message] = [] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl }));
    const hide = (VisibilityTimeout: number) =>
      sqs.send(
        new ChangeMessageVisibilityCommand({
          QueueUrl,
          ReceiptHandle: message?.ReceiptHandle,
          VisibilityTimeout,
        }),
      );
    await hide(3 * 3600);
    await clock.runUntil(clock.now() + 2 * HOUR);
    await assert.rejects(hide(11 * 3600), /Total VisibilityTimeout/);
    await hide(9 * 3600);
    await clock.runUntil(clock.now() + 8 * HOUR);
    assert.equal((await attributes(sqs, QueueUrl)).ApproximateNumberOfMessagesNotVisible, '1');
    await clock.runUntil(clock.now() + 2 * HOUR);
    assert.equal((await attributes(sqs, QueueUrl)).ApproximateNumberOfMessages, '1');
  }));

test('at the limit of messages in flight a short poll fails, and a long one finds nothing', () =>
  withQueue(async (sqs, QueueUrl, _clock, aws) => {
    aws.sqs.inFlightLimit = 1;
    for (const MessageBody of ['a', 'b']) await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody }));
    await sqs.send(new ReceiveMessageCommand({ QueueUrl }));
    await assert.rejects(sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 0 })), OverLimit);
    const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 1 }));
    assert.equal(Messages, undefined);
  }));

test("a missing queue and a missing permission are told with SQS's own errors", () =>
  deploy(define, async ({ aws, client }) => {
    const sqs = new SQSClient(
      client({
        Effect: 'Allow',
        Action: ['sqs:GetQueueUrl', 'sqs:ReceiveMessage'],
        Resource: `arn:aws:sqs:*:${ACCOUNT}:*`,
      }),
    );
    await assert.rejects(sqs.send(new GetQueueUrlCommand({ QueueName: 'none' })), QueueDoesNotExist);
    const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: 'orders' }));
    await sqs.send(new ReceiveMessageCommand({ QueueUrl }));
    await assert.rejects(
      sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x' })),
      (error) =>
        error instanceof Error &&
        error.name === 'AccessDenied' &&
        error.message.includes(
          `not authorized to perform: sqs:SendMessage on resource: arn:aws:sqs:eu-central-1:${ACCOUNT}:orders`,
        ),
    );
    assert.equal(aws.denials.length, 1);
    sqs.destroy();
  }));
