import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { SQSClient } from '@aws-sdk/client-sqs';
import { receiveUnread } from '../../../functions/message-gc/receive-unread.ts';
import { UnreadConversations } from '../../../functions/message-gc/unread-conversations.ts';

test('a message whose event names another deployment of the bus is none of this one, though its customer writes to both', async () => {
  const message = (id: string, ...resources: string[]) => ({
    Body: JSON.stringify({
      resources,
      detail: { messages: [{ id, from: '491701234567', timestamp: '1504902988' }] },
    }),
    ReceiptHandle: id,
  });
  const bus = 'arn:aws:events:eu-central-1:123456789012:event-bus/shop-callbacks';
  let messages = [
    message('own', 'shop'),
    message('theirs', 'bakery'),
    message('unnamed', bus),
    message('both', 'bakery', 'shop'),
  ];
  const send = mock.method(SQSClient.prototype, 'send', async () => {
    const Messages = messages;
    messages = [];
    return { Messages };
  });
  try {
    const conversations = new UnreadConversations();
    const dropped: string[] = [];
    const aside = await receiveUnread(
      { deployment: 'shop', queueUrl: 'queue', olderThanSeconds: 0 },
      {
        conversations,
        receipts: new Set(),
        held: new Set(),
        hide: async () => assert.fail('none is young'),
        drop: async (handle) => {
          dropped.push(handle);
        },
      },
      () => 1000,
      new AbortController(),
    );
    assert.deepEqual(dropped, ['theirs']);
    assert.deepEqual(aside, { young: 0, unreadable: 0, others: 1, drained: true });
    assert.deepEqual([conversations.size, conversations.messages], [1, 3]);
  } finally {
    send.mock.restore();
  }
});
