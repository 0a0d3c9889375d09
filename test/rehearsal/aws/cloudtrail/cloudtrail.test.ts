import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudTrailClient, LookupEventsCommand, paginateLookupEvents } from '@aws-sdk/client-cloudtrail';
import { ListQueuesCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { deploy } from '../deploy.ts';

test('has what was called and refused, the newest first, in pages, and no data events', () =>
  deploy(
    (stack) => new Queue(stack, 'Orders', { queueName: 'orders' }),
    async ({ client }) => {
      const sqs = new SQSClient(client());
      await sqs.send(new ListQueuesCommand({}));
      const { QueueUrls: [QueueUrl] = [] } = await sqs.send(new ListQueuesCommand({}));
      await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'one' }));
      const denied = new SQSClient(client({ Effect: 'Deny', Action: 'sqs:*', Resource: '*' }));
      await assert.rejects(denied.send(new ListQueuesCommand({})));

      const trail = new CloudTrailClient(client());
      const pages: [string, unknown][][] = [];
      for await (const { Events: events = [] } of paginateLookupEvents(
        { client: trail, pageSize: 2 },
        { LookupAttributes: [{ AttributeKey: 'EventName', AttributeValue: 'ListQueues' }] },
      ))
        pages.push(
          events.map(({ Username = '', CloudTrailEvent = '' }) => [
            Username,
            JSON.parse(CloudTrailEvent).errorCode,
          ]),
        );
      assert.deepEqual(pages, [
        [
          ['tester', 'AccessDenied'],
          ['tester', undefined],
        ],
        [['tester', undefined]],
      ]);
      const { Events: all = [] } = await trail.send(new LookupEventsCommand({}));
      assert.ok(all.every(({ EventName: name }) => name !== 'SendMessage'));
    },
  ));
