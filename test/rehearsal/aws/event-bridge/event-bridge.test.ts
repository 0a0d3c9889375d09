import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  EventBridgeClient,
  ListEventBusesCommand,
  ListRulesCommand,
  PutEventsCommand,
} from '@aws-sdk/client-eventbridge';
import type { Stack } from 'aws-cdk-lib';
import { EventBus, Rule } from 'aws-cdk-lib/aws-events';
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Template } from '../../../../rehearsal/aws/template/assembly.ts';
import { ACCOUNT, deploy, MINUTE, REGION, START } from '../deploy.ts';

const BUS = `arn:aws:events:${REGION}:${ACCOUNT}:event-bus/callbacks`;

function define(stack: Stack): void {
  const bus = new EventBus(stack, 'Callbacks', { eventBusName: 'callbacks' });
  const rule = new Rule(stack, 'Collected', {
    ruleName: 'collected',
    eventBus: bus,
    eventPattern: { detail: { gc: { status: ['complete'] } } },
  });
  const deadLetterQueue = new Queue(stack, 'Dead', { queueName: 'dead' });
  rule.addTarget(new SqsQueue(new Queue(stack, 'Notes', { queueName: 'notes' }), { deadLetterQueue }));
}

/** Takes the policy of one queue out of the templates. */
function withoutPolicyOf(...names: string[]) {
  return (templates: Record<string, Template>) => {
    const resources = templates.test?.Resources ?? {};
    for (const [id, { Type }] of Object.entries(resources)) {
      if (Type === 'AWS::SQS::QueuePolicy' && names.some((name) => id.startsWith(name))) delete resources[id];
    }
  };
}

const complete = (others: object = {}) => ({
  EventBusName: 'callbacks',
  Source: 'business',
  DetailType: 'Callback',
  Detail: JSON.stringify({ gc: [{ status: 'complete' }], text: 'grün' }),
  ...others,
});

test('brings an event that fits to the queue, as an event, and leaves out the others', () =>
  deploy(define, async ({ aws, clock, client }) => {
    const events = new EventBridgeClient(client());
    const { FailedEntryCount, Entries } = await events.send(
      new PutEventsCommand({
        Entries: [
          complete(),
          complete({ Detail: '{"gc":{"status":"failed"}}' }),
          complete({ Detail: '[1]' }),
          complete({ EventBusName: 'none' }),
        ],
      }),
    );
    assert.equal(FailedEntryCount, 2);
    assert.deepEqual(
      Entries?.map(({ ErrorCode }) => ErrorCode),
      [undefined, undefined, 'MalformedDetail', 'ResourceNotFoundException'],
    );
    await clock.runUntil(START + MINUTE);
    const [body, ...others] = aws.sqs.bodies('notes').map((text) => JSON.parse(text));
    assert.equal(others.length, 0);
    assert.deepEqual(body.detail, { gc: [{ status: 'complete' }], text: 'grün' });
    assert.deepEqual(
      [body.version, body.source, body['detail-type'], body.account, body.region, body.time.slice(0, 17)],
      ['0', 'business', 'Callback', ACCOUNT, REGION, '2027-01-10T12:00:'],
    );
    assert.equal((await events.send(new ListEventBusesCommand({}))).EventBuses?.length, 2);
    const { Rules } = await events.send(new ListRulesCommand({ EventBusName: 'callbacks' }));
    assert.deepEqual(
      Rules?.map(({ Name }) => Name),
      ['collected'],
    );
    events.destroy();
  }));

test('puts what the queue does not take into the dead-letter queue of the rule', () =>
  deploy(
    define,
    async ({ aws, clock, client }) => {
      const events = new EventBridgeClient(client());
      await events.send(new PutEventsCommand({ Entries: [complete()] }));
      await clock.runUntil(START + MINUTE);
      assert.equal(aws.sqs.bodies('notes').length, 0);
      assert.equal(aws.sqs.bodies('dead').length, 1);
      assert.deepEqual(aws.dropped, []);
      assert.match(aws.denials[0] ?? '', /events\.amazonaws\.com.*sqs:SendMessage.*notes/);
      events.destroy();
    },
    { change: withoutPolicyOf('Notes') },
  ));

test('drops it, as AWS would, where that is not open either, but says so', () =>
  deploy(
    define,
    async ({ aws, clock, client }) => {
      const events = new EventBridgeClient(client());
      await events.send(new PutEventsCommand({ Entries: [complete()] }));
      await clock.runUntil(START + MINUTE);
      assert.equal(aws.dropped.length, 1);
      assert.match(aws.dropped[0]?.reason ?? '', /sqs:SendMessage.*notes.*sqs:SendMessage.*dead/);
      events.destroy();
    },
    { change: withoutPolicyOf('Notes', 'Dead') },
  ));

test('lets a source that the policy names put events, and no other', () =>
  deploy(define, async ({ client }) => {
    const events = new EventBridgeClient(
      client({
        Effect: 'Allow',
        Action: 'events:PutEvents',
        Resource: BUS,
        Condition: { StringEquals: { 'events:source': 'business' } },
      }),
    );
    await events.send(new PutEventsCommand({ Entries: [complete()] }));
    for (const others of [{ Source: 'other' }, { EventBusName: 'default' }]) {
      await assert.rejects(
        events.send(new PutEventsCommand({ Entries: [complete(), complete(others)] })),
        (error) => error instanceof Error && error.name === 'AccessDeniedException',
      );
    }
    await assert.rejects(
      events.send(new PutEventsCommand({ Entries: Array.from({ length: 11 }, () => complete()) })),
      /1 to 10 entries/,
    );
    events.destroy();
  }));

test('refuses requests beyond its quota, and delays what rules bring on beyond theirs', () =>
  deploy(define, async ({ aws, clock, client }) => {
    const events = new EventBridgeClient(client());
    const put = () => events.send(new PutEventsCommand({ Entries: [complete()] }));
    await put();
    aws.events.buckets.puts.drain(MINUTE);
    await assert.rejects(put, { name: 'ThrottlingException' });
    assert.equal(aws.events.buckets.puts.refused, 1);
    await clock.runUntil(clock.now() + 2 * MINUTE);
    assert.equal(aws.sqs.bodies('notes').length, 1);
    aws.events.buckets.invocations.drain(MINUTE);
    await clock.hold(async () => {
      await put();
      assert.equal(aws.sqs.bodies('notes').length, 1, 'there is no room for it yet');
    });
    await clock.runUntil(clock.now() + 2 * MINUTE);
    assert.equal(aws.sqs.bodies('notes').length, 2);
    events.destroy();
  }));
