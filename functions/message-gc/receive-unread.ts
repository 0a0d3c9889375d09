import * as v from 'valibot';
import { receiveCallbacks } from '../shared/whatsapp/callback-queue.ts';
import { isOfAnother } from '../shared/whatsapp/hear.ts';
import type { QueueItem, UnreadConversations } from './unread-conversations.ts';

/** Longer than a step takes, so that nothing received in it comes back while it works. */
export const WORKING_VISIBILITY_SECONDS = 15 * 60;

/** SQS hides a message for at most 12 hours in all from its receive; a step may have used its budget of that. */
const LONGEST_HIDDEN_SECONDS = 12 * 3600 - WORKING_VISIBILITY_SECONDS;

/** What one step holds in memory: under SQS's limit of 120,000 messages in flight. */
const MOST_HELD = 100_000;

const RECEIVERS = 5;

/** No message is sent so much later than now, whatever clocks say. */
const AHEAD_SECONDS = 24 * 3600;

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

/** Where what is received goes. */
export interface Received {
  conversations: UnreadConversations;
  /** Each that is not deleted yet, so that whoever fails later can give it back. */
  receipts: Set<string>;
  /** Callbacks that have something to be marked. */
  held: Set<QueueItem>;
  /** Has those hidden that are not old enough, until they are. */
  hide(callback: { receiptHandle: string; seconds: number }): Promise<void>;
  /** Takes one off the queue that is none of this deployment's. */
  drop(receiptHandle: string): Promise<void>;
}

/** What was received that is not to be marked. `drained`: the queue gave nothing more. */
export interface Aside {
  young: number;
  unreadable: number;
  /** Of another deployment, as their events say: taken off the queue. */
  others: number;
  drained: boolean;
}

/**
 * Receives what the queue gives until it gives nothing, or until no more can be marked by the end: what waits then would only have to be given
 * back.
 * @param most how many conversations can still be marked.
 */
export async function receiveUnread(
  {
    deployment,
    queueUrl,
    olderThanSeconds,
  }: { deployment: string; queueUrl: string; olderThanSeconds: number },
  { conversations, receipts, held, hide, drop }: Received,
  most: () => number,
  stop: AbortController,
): Promise<Aside> {
  const aside: Aside = { young: 0, unreadable: 0, others: 0, drained: false };
  const isEnough = () =>
    aside.drained ||
    stop.signal.aborted ||
    conversations.size >= most() ||
    conversations.messages >= MOST_HELD;
  const receive = async () => {
    while (!isEnough()) {
      const received = await receiveCallbacks(queueUrl, WORKING_VISIBILITY_SECONDS);
      if (received.length === 0) aside.drained = true;
      for (const { receiptHandle } of received) receipts.add(receiptHandle);
      for (const { callback, receiptHandle, deployments } of received) {
        const { messages, wrong } = messagesOf(callback);
        // A bus that several share: a customer may write to two of them, and this client knows but its own.
        if (isOfAnother(deployments, deployment)) {
          aside.others += messages.length + wrong;
          await drop(receiptHandle);
          continue;
        }
        aside.unreadable += wrong;
        if (messages.length === 0) continue;
        const newest = Math.max(...messages.map(({ timestamp }) => timestamp));
        const seconds = Math.ceil(newest + olderThanSeconds - Date.now() / 1000);
        if (seconds > 0) {
          aside.young += messages.length;
          await hide({ receiptHandle, seconds: Math.min(seconds, LONGEST_HIDDEN_SECONDS) });
          continue;
        }
        const item: QueueItem = { receiptHandle, left: messages.length };
        held.add(item);
        for (const { id, from, timestamp } of messages)
          conversations.add({ id, from, sentAt: timestamp * 1000, item });
      }
    }
  };
  await Promise.all(Array.from({ length: RECEIVERS }, () => receive().catch((error) => stop.abort(error))));
  return aside;
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
