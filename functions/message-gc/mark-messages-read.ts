import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { atMostOnce } from '../shared/run/at-most-once.ts';
import { leftOfInvocation } from '../shared/run/time-left.ts';
import {
  callbacksIn,
  deleteCallbacks,
  type HiddenCallback,
  hideCallbacks,
  inBatches,
  isAtInFlightLimit,
} from '../shared/whatsapp/callback-queue.ts';
import { needsAPerson, WebAppUnreachableError } from '../shared/whatsapp/errors.ts';
import { withWebApp } from '../shared/whatsapp/web-app.ts';
import type { MessageGcSettings } from './contract.ts';
import { type MarkedConversations, markConversations } from './mark-conversations.ts';
import { receiveUnread, WORKING_VISIBILITY_SECONDS } from './receive-unread.ts';
import { type QueueItem, UnreadConversations } from './unread-conversations.ts';

/** How much of Lambda's fifteen minutes one step may use at most. */
const STEP_BUDGET_MS = 10 * 60 * 1000;

/** Of an invocation, for giving back what a step received and did not get to, and for recording what it did: 90 of 900 seconds. */
const RESERVED_SHARE = 1 / 10;

/** Of what throws, after which all that was received is given back. */
const TRIES = 5;

/** Tries that were ended by force: after so many the rest is left to the next run. */
const MOST_INTERRUPTIONS = 3;

/**
 * How long what is received is gathered before the first is marked, so that a sender's messages are asked for once: some ten thousand messages. Of
 * a longer queue the rest is received while those are marked.
 */
const GATHERING_MS = 5_000;

/** Why a step ends that is not at its end. */
const TIME_IS_OVER = Symbol('time is over');

/** What became of the messages in the queue. */
export interface MarkedRead extends MarkedConversations {
  messagesMarkedRead: number;
  /** Unknown to the client by now, or too old to be marked: taken off the queue. */
  messagesDropped: number;
  /** Left in the queue until they are old enough. */
  messagesTooYoung: number;
  /** Left in the queue, for the client refused them. */
  messagesNotMarked: number;
  /** Refused night after night, and taken off the queue. */
  messagesGivenUp: number;
  /** Not of the form that the client sends. Left in the queue, but for those beside which the same callback had good ones. */
  messagesUnreadable: number;
  /** Of another deployment that shares the bus, as their events say: taken off this one's queue. */
  messagesOfOthers: number;
  /** SQS gives nothing more while so many messages are in flight. */
  atInFlightLimit: boolean;
  /** The last error with which a message was refused, or WebApp could not be worked with. */
  error?: string;
  /** The error needs a person, so that nothing else can be done with WebApp either. */
  fatal: boolean;
  /** Tries that were ended by force: what they dealt with is in none of the other figures. */
  interruptions: number;
  /** By how many callbacks the queue was shorter after those, as SQS counts. Undefined where that is unknown of one. */
  callbacksOfInterruptions?: number | undefined;
}

/** `queued`: callbacks in the queue at its end, where SQS says so. */
type StepResult = MarkedRead & { more: boolean; now: number; queued?: number | undefined };

/** Drains the unread-messages queue and marks what is old enough, one request for a sender's messages that are received together. */
export async function markMessagesRead(
  settings: MessageGcSettings & { markRead: NonNullable<MessageGcSettings['markRead']> },
  /** `queued`: callbacks in the queue now, where SQS says so. */
  { until, queued: atFirst }: { until: number; queued?: number | undefined },
  context: DurableContext,
): Promise<MarkedRead> {
  const total: MarkedRead = { ...NOTHING_MARKED, callbacksOfInterruptions: 0 };
  let queued = atFirst;
  for (let number = 1; ; number++) {
    const name = `mark messages read ${number}`;
    const budget = () => Math.min(STEP_BUDGET_MS, leftOfInvocation(context, RESERVED_SHARE));
    const tried = await atMostOnce(context, name, () => markChunk(settings, until, budget()), TRIES);
    if (tried.kind === 'interrupted') {
      total.interruptions += 1;
      // What it had received is hidden: to go on now would find the queue empty, and leave it there.
      const { now, left } = await context.step(`time after ${name}`, async () => ({
        now: Date.now(),
        left: await callbacksIn(settings.markRead.queueUrl),
      }));
      const { callbacksOfInterruptions: before } = total;
      total.callbacksOfInterruptions =
        before === undefined || queued === undefined || left === undefined
          ? undefined
          : before + Math.max(0, queued - left);
      queued = left;
      if (total.interruptions >= MOST_INTERRUPTIONS || now + WORKING_VISIBILITY_SECONDS * 1000 >= until) {
        total.error = 'the function was ended in the middle of it, and what it had received comes back later';
        return total;
      }
      await context.wait(`until what ${name} received is back`, { seconds: WORKING_VISIBILITY_SECONDS });
      continue;
    }
    const { more, now, ...step } = tried.value;
    queued = step.queued;
    total.messagesMarkedRead += step.messagesMarkedRead;
    total.messagesDropped += step.messagesDropped;
    total.messagesTooYoung += step.messagesTooYoung;
    total.messagesNotMarked += step.messagesNotMarked;
    total.messagesGivenUp += step.messagesGivenUp;
    total.messagesUnreadable += step.messagesUnreadable;
    total.messagesOfOthers += step.messagesOfOthers;
    total.atInFlightLimit ||= step.atInFlightLimit;
    total.fatal ||= step.fatal;
    if (step.error) total.error = step.error;
    if (!more || now >= until) return total;
  }
}

const NOTHING_MARKED: MarkedRead = {
  messagesMarkedRead: 0,
  messagesDropped: 0,
  messagesTooYoung: 0,
  messagesNotMarked: 0,
  messagesGivenUp: 0,
  messagesUnreadable: 0,
  messagesOfOthers: 0,
  atInFlightLimit: false,
  fatal: false,
  interruptions: 0,
};

async function markChunk(
  settings: Parameters<typeof markMessagesRead>[0],
  until: number,
  /** Milliseconds that it may take. */
  budget: number,
): Promise<StepResult> {
  const receipts = new Set<string>();
  try {
    return await markReceived(settings, Math.min(Date.now() + budget, until), receipts);
  } catch (error) {
    // As far as SQS takes it; what it does not take comes back by itself, later.
    const all = [...receipts].map((receiptHandle) => ({ receiptHandle, seconds: 0 }));
    await hideCallbacks(settings.markRead.queueUrl, all).catch(() => {});
    throw error;
  }
}

/** Marks what is received first while the rest is received. */
async function markReceived(
  {
    deployment,
    webApp: webAppSettings,
    markRead,
  }: Pick<Parameters<typeof markMessagesRead>[0], 'deployment' | 'webApp' | 'markRead'>,
  stopAt: number,
  receipts: Set<string>,
): Promise<StepResult> {
  const { queueUrl, requestsPerSecond } = markRead;
  const conversations = new UnreadConversations();
  const held = new Set<QueueItem>();
  const result: MarkedRead = { ...NOTHING_MARKED };
  const deleting = inBatches(async (items: QueueItem[]) => {
    const handles = items.map(({ receiptHandle }) => receiptHandle);
    await deleteCallbacks(queueUrl, handles);
    for (const item of items) held.delete(item);
    for (const handle of handles) receipts.delete(handle);
  });
  const hiding = inBatches((young: HiddenCallback[]) => hideCallbacks(queueUrl, young));
  const stop = new AbortController();
  stop.signal.addEventListener('abort', () => conversations.end(), { once: true });
  const left = () => stopAt - Date.now();
  const timer = setTimeout(() => stop.abort(TIME_IS_OVER), left());
  if (left() <= 0) stop.abort(TIME_IS_OVER);
  const mark = async () => {
    await conversations.gather(GATHERING_MS);
    await conversations.wait();
    if (conversations.size > 0)
      await withWebApp(webAppSettings, (webApp) =>
        markConversations(webApp, conversations, markRead, stop, deleting.add, result),
      );
  };
  const [aside] = await Promise.all([
    receiveUnread(
      { deployment, ...markRead },
      {
        conversations,
        receipts,
        held,
        hide: (callback) => hiding.add([callback]),
        drop: (receiptHandle) => deleting.add([{ receiptHandle, left: 0 }]),
      },
      () => (requestsPerSecond * left()) / 1000,
      stop,
    ).finally(() => conversations.end()),
    mark(),
  ]).finally(() => clearTimeout(timer));
  // Whatever else failed: what is marked is not to be marked again.
  await Promise.all([deleting.flush(), hiding.flush()]);
  const { young, unreadable, others, drained } = aside;
  const { reason } = stop.signal;
  const isWebApp = needsAPerson(reason) || reason instanceof WebAppUnreachableError;
  if (stop.signal.aborted && reason !== TIME_IS_OVER && !isWebApp) throw reason;
  // What WebApp refused comes back by itself, later: the next step would ask for it again.
  const untried = [...held].filter(({ isRefused }) => !isRefused);
  await hideCallbacks(
    queueUrl,
    untried.map(({ receiptHandle }) => ({ receiptHandle, seconds: 0 })),
  );
  return {
    ...result,
    ...(isWebApp && { error: reason.message, fatal: needsAPerson(reason) }),
    messagesTooYoung: young,
    messagesUnreadable: unreadable,
    messagesOfOthers: others,
    atInFlightLimit: drained && (await isAtInFlightLimit(queueUrl)),
    more: !isWebApp && (!drained || untried.length > 0),
    now: Date.now(),
    queued: await callbacksIn(queueUrl),
  };
}
