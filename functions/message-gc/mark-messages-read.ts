import type { DurableContext } from '@aws/durable-execution-sdk-js';
import PQueue from 'p-queue';
import * as v from 'valibot';
import { atMostOnce } from '../shared/run/at-most-once.ts';
import { leftOfInvocation } from '../shared/run/time-left.ts';
import {
  callbacksIn,
  deleteCallbacks,
  hideCallbacks,
  isAtInFlightLimit,
  receiveCallbacks,
} from '../shared/whatsapp/callback-queue.ts';
import { needsAPerson, WebAppError, WebAppUnreachableError } from '../shared/whatsapp/errors.ts';
import { WEB_APP_CODES, type WebApp, withWebApp } from '../shared/whatsapp/web-app.ts';
import type { MessageGcSettings } from './contract.ts';

/** Older messages cannot be marked read (Meta's documentation of "mark as read"). */
const MARKABLE_DAYS = 30;

/** How much of Lambda's fifteen minutes one step may use at most. */
const STEP_BUDGET_MS = 10 * 60 * 1000;

/** Of an invocation, for giving back what a step received and did not get to, and for recording what it did: 90 of 900 seconds. */
const RESERVED_SHARE = 1 / 10;

/** So much of a step is for receiving; what is received has to be worked on. */
const RECEIVING_SHARE = 0.5;

/** Of what throws, after which all that was received is given back. */
const TRIES = 5;

/** Tries that were ended by force: after so many the rest is left to the next run. */
const MOST_INTERRUPTIONS = 3;

/** Longer than a step takes, so that nothing received in it comes back while it works. */
const WORKING_VISIBILITY_SECONDS = 15 * 60;

/** SQS hides a message for at most 12 hours in all from its receive; a step may have used its budget of that. */
const LONGEST_HIDDEN_SECONDS = 12 * 3600 - WORKING_VISIBILITY_SECONDS;

/** What one step holds in memory: under SQS's limit of 120,000 messages in flight. */
const MOST_HELD = 100_000;

const RECEIVERS = 5;

/** A message that the client refuses is tried again for so long after it was old enough, and then given up. */
const TRIED_DAYS = 3;

/** No message is sent so much later than now, whatever clocks say. */
const AHEAD_SECONDS = 24 * 3600;

const DAY_MS = 24 * 3600 * 1000;

/** Codes that speak of WebApp's state and not of the message (Meta's table): the next message would get the same. */
const PASSING_CODES = [1011, 1014, 1015, 1016, 1017, 1018];

const inbound = v.object({ messages: v.pipe(v.array(v.unknown()), v.minLength(1)) });

const seconds = v.pipe(
  v.union([v.pipe(v.string(), v.regex(/^\d{1,12}$/)), v.number()]),
  v.transform(Number),
  v.integer(),
  v.minValue(0),
  v.check((value) => value <= Date.now() / 1000 + AHEAD_SECONDS),
);

const inboundMessage = v.object({
  from: v.string(),
  // What cannot be part of a URL cannot be asked for; dots lead to another path.
  id: v.pipe(
    v.string(),
    v.check((id) => id.isWellFormed() && !['', '.', '..'].includes(id)),
  ),
  timestamp: seconds,
});

/** One message of the queue: a callback with one or more of the client's messages in it. */
interface QueueItem {
  receiptHandle: string;
  /** How many of its messages are still to be dealt with. It is deleted when none is. */
  left: number;
}

/** `sentAt` in epoch milliseconds. */
interface UnreadMessage {
  id: string;
  from: string;
  sentAt: number;
  item: QueueItem;
}

export interface MarkedRead {
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

/** Drains the unread-messages queue and marks what is old enough, one request per sender. */
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
  atInFlightLimit: false,
  fatal: false,
  interruptions: 0,
};

async function markChunk(
  { webApp: webAppSettings, markRead }: Parameters<typeof markMessagesRead>[0],
  until: number,
  /** Milliseconds that it may take. */
  budget: number,
): Promise<StepResult> {
  const now = Date.now();
  const stopAt = Math.min(now + budget, until);
  const received: string[] = [];
  try {
    return await markReceived({ webApp: webAppSettings, markRead }, { now, stopAt }, received);
  } catch (error) {
    // As far as SQS takes it; what it does not take comes back by itself, later.
    const all = received.map((receiptHandle) => ({ receiptHandle, seconds: 0 }));
    await hideCallbacks(markRead.queueUrl, all).catch(() => {});
    throw error;
  }
}

async function markReceived(
  { webApp: webAppSettings, markRead }: Pick<Parameters<typeof markMessagesRead>[0], 'webApp' | 'markRead'>,
  { now, stopAt }: { now: number; stopAt: number },
  received: string[],
): Promise<StepResult> {
  const { unread, young, youngMessages, unreadable, drained } = await drain(
    markRead,
    now + (stopAt - now) * RECEIVING_SHARE,
    received,
  );
  await hideCallbacks(markRead.queueUrl, young);
  const result: StepResult = {
    ...NOTHING_MARKED,
    messagesTooYoung: youngMessages,
    messagesUnreadable: unreadable,
    atInFlightLimit: drained && (await isAtInFlightLimit(markRead.queueUrl)),
    more: !drained,
    now: 0,
  };
  const conversations = [...Map.groupBy(unread, ({ from }) => from).values()];
  if (conversations.length > 0) {
    const stopped = await withWebApp(webAppSettings, (webApp) =>
      markConversations(webApp, conversations, { ...markRead, stopAt }, result),
    ).catch((error: Error) => error);
    if (stopped instanceof Error) {
      if (!needsAPerson(stopped) && !(stopped instanceof WebAppUnreachableError)) throw stopped;
      result.error = stopped.message;
      result.fatal = needsAPerson(stopped);
      result.more = false;
    } else result.more ||= stopped === 'out of time';
  }
  const unfinished = new Set(unread.map(({ item }) => item).filter(({ left }) => left > 0));
  await hideCallbacks(
    markRead.queueUrl,
    [...unfinished].map(({ receiptHandle }) => ({ receiptHandle, seconds: 0 })),
  );
  return { ...result, now: Date.now(), queued: await callbacksIn(markRead.queueUrl) };
}

interface Limits {
  queueUrl: string;
  olderThanSeconds: number;
  concurrency: number;
  requestsPerSecond: number;
  stopAt: number;
}

/** @throws the first error after which no other conversation could be marked either. */
async function markConversations(
  webApp: WebApp,
  conversations: UnreadMessage[][],
  { queueUrl, olderThanSeconds, concurrency, requestsPerSecond, stopAt }: Limits,
  result: MarkedRead,
): Promise<'finished' | 'out of time'> {
  const requests = new PQueue({ concurrency, interval: 1000, intervalCap: requestsPerSecond });
  let stopped: unknown;
  await requests.addAll(
    conversations.map((messages) => async () => {
      if (stopped) return;
      if (Date.now() >= stopAt) {
        stopped = 'out of time';
        return;
      }
      try {
        const finished = await markConversation(webApp, messages, { olderThanSeconds }, result);
        for (const { item } of finished) item.left -= 1;
        const items = new Set(finished.map(({ item }) => item));
        await deleteCallbacks(
          queueUrl,
          [...items].filter(({ left }) => left === 0).map(({ receiptHandle }) => receiptHandle),
        );
      } catch (error) {
        stopped ??= error;
      }
    }),
  );
  if (stopped && stopped !== 'out of time') throw stopped;
  return stopped ? 'out of time' : 'finished';
}

/**
 * Marks the newest message of a conversation that the client takes, and with it the earlier ones.
 * @returns the messages that are dealt with; what is not among them stays in the queue.
 */
async function markConversation(
  webApp: WebApp,
  messages: UnreadMessage[],
  { olderThanSeconds }: Pick<Limits, 'olderThanSeconds'>,
  result: MarkedRead,
): Promise<UnreadMessage[]> {
  const now = Date.now();
  const oldest = now - MARKABLE_DAYS * DAY_MS;
  const givenUp = now - olderThanSeconds * 1000 - TRIED_DAYS * DAY_MS;
  const done = messages.filter(({ sentAt }) => sentAt < oldest);
  const newestFirst = messages
    .filter(({ sentAt }) => sentAt >= oldest)
    .sort((one, other) => other.sentAt - one.sentAt);
  result.messagesDropped += done.length;
  for (const [index, message] of newestFirst.entries()) {
    try {
      await webApp.markRead(message.id);
      result.messagesMarkedRead += newestFirst.length - index;
      return [...done, ...newestFirst.slice(index)];
    } catch (error) {
      if (!(error instanceof WebAppError)) throw error;
      if (error.code === WEB_APP_CODES.notFound) {
        result.messagesDropped += 1;
        done.push(message);
        continue;
      }
      result.error = error.message;
      if (PASSING_CODES.includes(error.code)) {
        result.messagesNotMarked += newestFirst.length - index;
        return done;
      }
      // It is about this one message: an earlier one of the conversation may be taken.
      if (message.sentAt < givenUp) {
        result.messagesGivenUp += 1;
        done.push(message);
      } else result.messagesNotMarked += 1;
    }
  }
  return done;
}

/** Receives all that the queue gives, as far as memory allows, and sorts it by what is to be done. */
async function drain(
  { queueUrl, olderThanSeconds }: NonNullable<MessageGcSettings['markRead']>,
  receiveUntil: number,
  /** Each receipt handle is added, so that whoever fails later can give it back. */
  receipts: string[],
) {
  const unread: UnreadMessage[] = [];
  const young: { receiptHandle: string; seconds: number }[] = [];
  let youngMessages = 0;
  let unreadable = 0;
  let drained = false;
  const receive = async () => {
    while (!drained && unread.length < MOST_HELD && Date.now() < receiveUntil) {
      const received = await receiveCallbacks(queueUrl, WORKING_VISIBILITY_SECONDS);
      if (received.length === 0) drained = true;
      for (const { callback, receiptHandle } of received) {
        receipts.push(receiptHandle);
        const { messages, wrong } = messagesOf(callback);
        unreadable += wrong;
        if (messages.length === 0) continue;
        const newest = Math.max(...messages.map(({ timestamp }) => timestamp));
        const seconds = Math.ceil(newest + olderThanSeconds - Date.now() / 1000);
        if (seconds > 0) {
          young.push({ receiptHandle, seconds: Math.min(seconds, LONGEST_HIDDEN_SECONDS) });
          youngMessages += messages.length;
          continue;
        }
        const item = { receiptHandle, left: messages.length };
        unread.push(
          ...messages.map(({ id, from, timestamp }) => ({ id, from, sentAt: timestamp * 1000, item })),
        );
      }
    }
  };
  await Promise.all(Array.from({ length: RECEIVERS }, receive));
  return { unread, young, youngMessages, unreadable, drained };
}

/** Each message by itself, so that one of another form does not keep those beside it from being marked. */
function messagesOf(callback: unknown): { messages: v.InferOutput<typeof inboundMessage>[]; wrong: number } {
  const parsed = v.safeParse(inbound, callback);
  if (!parsed.success) return { messages: [], wrong: 1 };
  const messages = parsed.output.messages.flatMap((message) => {
    const one = v.safeParse(inboundMessage, message);
    return one.success ? [one.output] : [];
  });
  return { messages, wrong: parsed.output.messages.length - messages.length };
}
