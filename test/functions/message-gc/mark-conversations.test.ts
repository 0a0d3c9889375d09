import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import {
  type MarkedConversations,
  markConversations,
} from '../../../functions/message-gc/mark-conversations.ts';
import {
  type QueueItem,
  UnreadConversations,
  type UnreadMessage,
} from '../../../functions/message-gc/unread-conversations.ts';
import { WebAppError } from '../../../functions/shared/whatsapp/errors.ts';
import { WEB_APP_CODES } from '../../../functions/shared/whatsapp/web-app.ts';

const NOW = Date.UTC(2026, 5, 1);
const HOUR = 3600 * 1000;

const message = (
  id: string,
  from: string,
  item: QueueItem = { receiptHandle: id, left: 1 },
): UnreadMessage => ({
  id,
  from,
  sentAt: NOW - HOUR,
  item,
});

/** Marks by a clock that goes on only when it is told to. */
function marking(
  { mock }: TestContext,
  markRead: (id: string) => Promise<void>,
  { concurrency = 4, requestsPerSecond = 10 } = {},
) {
  mock.timers.enable({ apis: ['Date', 'setTimeout', 'setInterval'], now: NOW });
  const conversations = new UnreadConversations();
  const stop = new AbortController();
  stop.signal.addEventListener('abort', () => conversations.end());
  const result: MarkedConversations = {
    messagesMarkedRead: 0,
    messagesDropped: 0,
    messagesNotMarked: 0,
    messagesGivenUp: 0,
  };
  const finished: string[] = [];
  const asked: number[] = [];
  const marked = markConversations(
    {
      markRead: async (id) => {
        asked.push(Date.now() - NOW);
        await markRead(id);
      },
    },
    conversations,
    { olderThanSeconds: 60, concurrency, requestsPerSecond },
    stop,
    async (items) => {
      finished.push(...items.map(({ receiptHandle }) => receiptHandle));
    },
    result,
  );
  const pass = async (seconds: number) => {
    for (let tenth = 0; tenth < seconds * 10; tenth++) {
      mock.timers.tick(100);
      await setImmediate();
    }
  };
  return { conversations, stop, result, finished, asked, marked, pass };
}

test('of a thousand conversations only those are asked for that the rate allows, and the end does not wait for the others', async (t) => {
  const { conversations, stop, result, finished, asked, marked, pass } = marking(t, async () => {});
  for (let number = 0; number < 1000; number++) conversations.add(message(`${number}`, `sender ${number}`));
  conversations.end();
  await pass(5);
  assert.ok(asked.length >= 50 && asked.length <= 60, `${asked.length} asked in 5 seconds`);
  stop.abort('time is over');
  await marked;
  assert.equal(result.messagesMarkedRead, asked.length);
  assert.equal(finished.length, asked.length);
});

test('the rate is of requests: a conversation that takes many has no more', async (t) => {
  const { conversations, result, finished, asked, marked, pass } = marking(t, async () => {
    throw new WebAppError('PUT /v1/messages', WEB_APP_CODES.notFound, 'not found');
  });
  for (let number = 0; number < 35; number++) conversations.add(message(`${number}`, 'one sender'));
  conversations.end();
  await pass(5);
  await marked;
  const perSecond = Map.groupBy(asked, (at) => Math.floor(at / 1000));
  assert.deepEqual(
    [...perSecond.values()].map((each) => each.length),
    [10, 10, 10, 5],
  );
  assert.deepEqual([result.messagesDropped, finished.length], [35, 35]);
});

test('messages of a sender that still waits join its conversation, though they came later', async (t) => {
  const { conversations, asked, finished, marked, pass } = marking(t, async () => {}, {
    concurrency: 1,
    requestsPerSecond: 1,
  });
  conversations.add(message('first', 'one'));
  await pass(0.1);
  for (const id of ['second', 'third']) conversations.add(message(id, 'two'));
  await pass(2);
  conversations.end();
  await marked;
  assert.equal(asked.length, 2);
  assert.deepEqual(finished.toSorted(), ['first', 'second', 'third']);
});

test('what is received is gathered until it is whole, or for some time', async ({ mock }) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const [short, long] = [new UnreadConversations(), new UnreadConversations()];
  const gathered: string[] = [];
  short.gather(5_000).then(() => gathered.push('short'));
  long.gather(5_000).then(() => gathered.push('long'));
  short.end();
  await setImmediate();
  assert.deepEqual(gathered, ['short']);
  mock.timers.tick(5_000);
  await setImmediate();
  assert.deepEqual(gathered, ['short', 'long']);
});

test('an error after which nothing else can be marked ends all, and what was dealt with before it is finished', async (t) => {
  const gone = new Error('connection refused');
  const { conversations, stop, finished, marked, pass } = marking(t, async (id) => {
    if (id === 'unknown') throw new WebAppError('PUT /v1/messages', WEB_APP_CODES.notFound, 'not found');
    throw gone;
  });
  conversations.add(message('not marked', 'one'));
  conversations.add({ ...message('unknown', 'one'), sentAt: NOW - HOUR / 2 });
  await pass(1);
  await marked;
  assert.equal(stop.signal.reason, gone);
  assert.deepEqual(finished, ['unknown']);
});

test('a callback of which a message was refused is told apart from one that nobody asked for', async (t) => {
  const { conversations, finished, marked, pass } = marking(t, async (id) => {
    if (id === 'refused') throw new WebAppError('PUT /v1/messages', 1009, 'no');
  });
  const item: QueueItem = { receiptHandle: 'both', left: 2 };
  conversations.add(message('refused', 'one', item));
  conversations.add(message('marked', 'two', item));
  conversations.end();
  await pass(1);
  await marked;
  assert.deepEqual(finished, []);
  assert.deepEqual([item.left, item.isRefused], [1, true]);
});
