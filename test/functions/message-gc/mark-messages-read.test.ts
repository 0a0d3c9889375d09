import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { RunReport } from '../../../functions/shared/run/report.ts';
import type { Fault } from '../../../rehearsal/faults/fault.ts';
import { cutAtRandom } from '../../../rehearsal/faults/random-cuts.ts';
import { seedOfTheDay } from '../../../rehearsal/faults/runs.ts';
import { type NightOptions, playNight } from '../../../rehearsal/night.ts';
import { inboundMessages } from '../../../rehearsal/whatsapp/message-rows.ts';
import { buildStage, type Stage } from '../../rehearsal/stage.ts';
import { startJudgedQueue } from './judged-queue.ts';

const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;

let stage: Stage;
before(async () => {
  stage = await buildStage();
});
after(() => stage.close());

/** One night of the single instance, into which something was put before. */
async function night(
  strike: Fault['strike'],
  expected: Fault['expected'],
  { change, ...more }: Pick<Fault, 'lasts' | 'cutsReports'> & Pick<NightOptions, 'change'> = {},
): Promise<RunReport[]> {
  const { mismatches, runs } = await playNight({
    ...stage,
    ...(change && { change }),
    scale: { rows: 2_000, unread: 0 },
    only: ['latam'],
    faults: [{ description: '', deployment: 'latam', strike, expected, ...more }],
  });
  assert.deepEqual(mismatches, [], JSON.stringify(runs));
  return runs;
}

const succeeded: Fault['expected'] = { outcomes: {}, alarms: [] };
test('receives, deletes and counts the same of an SQS that others wrote (fauxqs)', async () => {
  const judged = await startJudgedQueue('latam-unread-messages', 'us-east-1');
  let markRequests = 0;
  try {
    const [run] = await night(
      async ({ webApp }, { clock, aws }, hooks) => {
        hooks.onRequest = ({ path }) => {
          if (path.startsWith('/v1/messages/')) markRequests += 1;
        };
        const now = clock.now();
        const [old, young] = [5, 0.5].map((days) =>
          inboundMessages({
            count: 30,
            conversations: 4,
            oldest: now - days * DAY,
            newest: now - days * DAY,
          }),
        );
        await webApp.deliverInbound([...(old ?? []), ...(young ?? [])]);
        clock.at(now + HOUR, () => judged.fill(aws.sqs.bodies('latam-unread-messages')));
      },
      succeeded,
      { change: (templates) => judged.lead(templates, 'latam-message-gc') },
    );
    const { messagesMarkedRead, messagesTooYoung } = run?.figures ?? {};
    assert.deepEqual(
      [messagesMarkedRead, messagesTooYoung, judged.left()],
      [30, 30, 30],
      JSON.stringify(judged.asked),
    );
    assert.equal(markRequests, 4);
    const { DeleteMessageBatch = 0, ChangeMessageVisibilityBatch = 0 } = judged.asked;
    assert.ok(DeleteMessageBatch >= 3 && ChangeMessageVisibilityBatch >= 3, JSON.stringify(judged.asked));
  } finally {
    await judged.close();
  }
});

test('what a try that was ended by force had received is marked by the next one, and the queue is empty after it', async () => {
  let unreadLeft: number | undefined;
  let queued: number | undefined;
  const [run] = await night(async ({ webApp, store }, { clock, aws }, hooks) => {
    const now = clock.now();
    await webApp.deliverInbound(
      inboundMessages({ count: 300, conversations: 150, oldest: now - 5 * DAY, newest: now - 3 * DAY }),
    );
    let marks = 0;
    hooks.onRequest = ({ path }) => {
      if (path.startsWith('/v1/messages/') && ++marks === 60) aws.killFunction('latam-message-gc');
    };
    clock.at(now + 11 * HOUR, async () => {
      unreadLeft = (await store?.count())?.unread;
      queued = aws.sqs.bodies('latam-unread-messages').length;
    });
  }, succeeded);
  assert.equal(unreadLeft, 0);
  assert.equal(queued, 0);
  assert.equal(run?.figures.markingInterruptions, 1);
  // What the cut try had dealt with is a figure of its own, and said.
  const { messagesMarkedRead = 0, callbacksOfMarkingInterruptions = 0 } = run?.figures ?? {};
  assert.ok(callbacksOfMarkingInterruptions > 0);
  assert.equal(messagesMarkedRead + callbacksOfMarkingInterruptions, 300);
  assert.match(
    run?.problems[0]?.what ?? '',
    new RegExp(`^1 tries .* ended by force\\..* ${callbacksOfMarkingInterruptions} callbacks of the queue`),
  );
});

test(`ended by force at random moments (CUT_SEED=${seedOfTheDay()}), every message that is old enough is read and the queue is empty`, async () => {
  let cuts = new Map<string, number>();
  let unreadLeft: number | undefined;
  let queued: number | undefined;
  const [run] = await night(
    async (target, world) => {
      const { webApp, store } = target;
      const { clock, aws } = world;
      const now = clock.now();
      await webApp.deliverInbound(
        inboundMessages({ count: 300, conversations: 150, oldest: now - 5 * DAY, newest: now - 3 * DAY }),
      );
      cuts = cutAtRandom(aws, { functions: ['latam-message-gc'], seed: seedOfTheDay(), cuts: 2 });
      clock.at(now + 11 * HOUR, async () => {
        unreadLeft = (await store?.count())?.unread;
        queued = aws.sqs.bodies('latam-unread-messages').length;
      });
    },
    succeeded,
    { cutsReports: true },
  );
  assert.equal(cuts.get('latam-message-gc'), 3, 'twice at random, and once at its report');
  assert.equal(unreadLeft, 0);
  assert.equal(queued, 0);
  const { messagesMarkedRead = 0, callbacksOfMarkingInterruptions = 0 } = run?.figures ?? {};
  assert.equal(messagesMarkedRead + callbacksOfMarkingInterruptions, 300, 'each is in one of the figures');
});

test('a message that WebApp refuses is told, the one before it is marked, and after some nights it is given up', async () => {
  const nights = await night(
    async ({ webApp, store }, { clock }) => {
      const from = '4915112345678';
      const now = clock.now();
      const messages = [
        { from, id: 'GOOD', timestamp: now - 2.5 * DAY },
        { from, id: 'ODD', timestamp: now - 2 * DAY },
      ];
      await store?.insertInbound(messages);
      await webApp.deliverInbound(messages);
      webApp.faults.oddMessages.push('ODD');
    },
    {
      outcomes: { 'message-gc': ['partial', 'partial', 'partial', 'succeeded', 'succeeded'] },
      alarms: Array.from({ length: 3 }, () => 'latam-message-gc-partial'),
    },
    { lasts: 4.5 * DAY },
  );
  assert.deepEqual(
    nights.map(({ figures }) => [
      figures.messagesMarkedRead,
      figures.messagesNotMarked,
      figures.messagesGivenUp,
    ]),
    [
      [1, 1, 0],
      [0, 1, 0],
      [0, 0, 1],
      [0, 0, 0],
      [0, 0, 0],
    ],
  );
  const texts = nights.map(({ problems }) => problems.map(({ what, next }) => `${what} ${next}`).join());
  assert.match(texts[0] ?? '', /PUT \/v1\/messages\/ODD with error 1009: \S.* stays in the queue/);
  assert.match(texts[2] ?? '', /1 that were refused night after night and are given up/);
});

/** How many messages a night's run says that it came to. */
const cameTo = ({ figures }: RunReport) => ({
  read: figures.messagesMarkedRead,
  tooYoung: figures.messagesTooYoung,
  dropped: figures.messagesDropped,
  unreadable: figures.messagesUnreadable,
});

test('each sender is asked for once, by the newest message that is old enough, whatever comes beside', async () => {
  const requests: { path: string; at: number }[] = [];
  let secondNight = 0;
  const [first = assert.fail(), second = assert.fail()] = await night(
    async ({ webApp, webhook, store }, { clock }, hooks) => {
      hooks.onRequest = ({ path }) => {
        if (path.startsWith('/v1/messages/')) requests.push({ path, at: clock.now() });
      };
      const now = clock.now();
      secondNight = now + DAY;
      await webApp.deliverInbound(
        inboundMessages({ count: 60, conversations: 4, oldest: now - 5 * DAY, newest: now - 3 * DAY }),
      );
      // One callback of two messages, which stays until each of them is dealt with.
      const old = { from: '4915112345678', id: 'OLD', timestamp: now - 5 * DAY };
      const young = { from: '4915187654321', id: 'YOUNG', timestamp: now - 2 * HOUR };
      // One entry that can be read among those that cannot.
      const good = { from: '4915211223344', id: 'GOOD', timestamp: now - 3 * DAY };
      await store?.insertInbound([old, young, good]);
      await webApp.sendCallback({
        messages: [old, young].map(({ from, id, timestamp }) => ({
          from,
          id,
          timestamp: String(Math.floor(timestamp / 1000)),
          type: 'text',
        })),
      });
      const timestamp = String(Math.floor(good.timestamp / 1000));
      await webApp.sendCallback({
        messages: [
          { id: 'NOBODYS', timestamp },
          { from: good.from, id: good.id, timestamp },
          { from: good.from, id: 'LONE \ud800', timestamp },
          { from: good.from, id: 'NEVER', timestamp: '' },
          { from: good.from, id: '..', timestamp },
        ],
      });
      // A message of an unknown form is left in the queue; one of more than 30 days is dropped.
      await webhook.put({ messages: [{ id: 'X', from: 5 }] });
      await webApp.deliverInbound([{ from: '4915398765432', id: 'ANCIENT', timestamp: now - 31 * DAY }]);
    },
    succeeded,
    { lasts: 36 * HOUR },
  );
  assert.deepEqual(cameTo(first), { read: 61, tooYoung: 2, dropped: 1, unreadable: 5 });
  assert.match(first.problems[0]?.what ?? '', /not of the form that the client sends/);
  assert.equal(requests.filter(({ at }) => at < secondNight).length, 4 + 1);
  assert.equal(second.figures.messagesMarkedRead, 2);
  assert.equal(requests.filter(({ at }) => at >= secondNight).length, 2);
  assert.ok(!requests.some(({ path }) => path.includes('ANCIENT')));
});

test('what WebApp refuses stays in the queue for the next night, and the run says so, as at the limit of messages in flight, which keeps no run from GC', async () => {
  const [first, second, third] = await night(
    async ({ webApp }, { clock, aws }) => {
      await webApp.deliverInbound(
        inboundMessages({
          count: 20,
          conversations: 20,
          oldest: clock.now() - 5 * DAY,
          newest: clock.now() - 3 * DAY,
        }),
      );
      webApp.faults.refusedMarkReads = 5;
      clock.at(clock.now() + 1.5 * DAY, () => {
        aws.sqs.heldByOthers.set('latam-unread-messages', 120_000);
      });
    },
    {
      // A run that was partial came: nothing is missed.
      outcomes: { 'message-gc': ['partial', 'succeeded', 'partial'] },
      alarms: ['latam-message-gc-partial', 'latam-message-gc-partial'],
    },
    { lasts: 2.5 * DAY },
  );
  assert.equal(first?.figures.messagesNotMarked, 5);
  assert.match(first?.problems[0]?.what ?? '', /^Not every message could be marked read: WebApp answered/);
  assert.equal(second?.figures.messagesMarkedRead, 5);
  assert.equal(third?.figures.calls, 1);
  assert.match(third?.problems[0]?.what ?? '', /limit of 120,000 messages in flight/);
});
