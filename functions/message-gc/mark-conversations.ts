import PQueue from 'p-queue';
import { WebAppError } from '../shared/whatsapp/errors.ts';
import { WEB_APP_CODES, type WebApp } from '../shared/whatsapp/web-app.ts';
import type { QueueItem, UnreadConversations, UnreadMessage } from './unread-conversations.ts';

/** Older messages cannot be marked read (Meta's documentation of "mark as read"). */
const MARKABLE_DAYS = 30;

/** A message that the client refuses is tried again for so long after it was old enough, and then given up. */
const TRIED_DAYS = 3;

const DAY_MS = 24 * 3600 * 1000;

/** Codes that speak of WebApp's state and not of the message (Meta's table): the next message would get the same. */
const PASSING_CODES = [1011, 1014, 1015, 1016, 1017, 1018];

/** What became of messages, and the last error with which one was refused. */
export interface MarkedConversations {
  messagesMarkedRead: number;
  messagesDropped: number;
  messagesNotMarked: number;
  messagesGivenUp: number;
  error?: string;
}

/** How fast WebApp may be asked, and until when. */
export interface MarkingLimits {
  olderThanSeconds: number;
  concurrency: number;
  requestsPerSecond: number;
}

/**
 * Marks one conversation after the other, some at once, each request within the rate, until there is none or `stop` ends it: then what is
 * under way is waited for, and nothing is begun. An error after which no other conversation could be marked either becomes its reason.
 * @param finish is given the callbacks in which all is dealt with.
 * @param result counts what became of the messages.
 */
export async function markConversations(
  webApp: Pick<WebApp, 'markRead'>,
  conversations: UnreadConversations,
  { olderThanSeconds, concurrency, requestsPerSecond }: MarkingLimits,
  stop: AbortController,
  finish: (callbacks: QueueItem[]) => Promise<void>,
  result: MarkedConversations,
): Promise<void> {
  const { signal } = stop;
  const requests = new PQueue({ interval: 1000, intervalCap: requestsPerSecond });
  // What waits for its turn when all ends was not asked for.
  const markRead = (id: string) => requests.add(() => webApp.markRead(id), { signal });
  const work = async () => {
    while (!signal.aborted) {
      const messages = await conversations.next();
      if (!messages || signal.aborted) return;
      const done = new Set<UnreadMessage>();
      try {
        await markConversation(markRead, messages, olderThanSeconds, done, result);
        for (const message of messages) if (!done.has(message)) message.item.isRefused = true;
      } finally {
        for (const { item } of done) item.left -= 1;
        const callbacks = new Set([...done].map(({ item }) => item));
        await finish([...callbacks].filter(({ left }) => left === 0));
      }
    }
  };
  const workToTheEnd = () =>
    work().catch((error) => {
      if (!signal.aborted) stop.abort(error);
    });
  await Promise.all(Array.from({ length: concurrency }, workToTheEnd));
}

/** Marks the newest message of a conversation that the client takes, and with it the earlier ones. */
async function markConversation(
  markRead: WebApp['markRead'],
  messages: UnreadMessage[],
  olderThanSeconds: number,
  /** Gets what is dealt with; what is not among them stays in the queue. */
  done: Set<UnreadMessage>,
  result: MarkedConversations,
): Promise<void> {
  const now = Date.now();
  const oldest = now - MARKABLE_DAYS * DAY_MS;
  const givenUp = now - olderThanSeconds * 1000 - TRIED_DAYS * DAY_MS;
  for (const message of messages.filter(({ sentAt }) => sentAt < oldest)) {
    result.messagesDropped += 1;
    done.add(message);
  }
  const newestFirst = messages
    .filter(({ sentAt }) => sentAt >= oldest)
    .sort((one, other) => other.sentAt - one.sentAt);
  for (const [index, message] of newestFirst.entries()) {
    try {
      await markRead(message.id);
      result.messagesMarkedRead += newestFirst.length - index;
      for (const marked of newestFirst.slice(index)) done.add(marked);
      return;
    } catch (error) {
      if (!(error instanceof WebAppError)) throw error;
      if (error.code === WEB_APP_CODES.notFound) {
        result.messagesDropped += 1;
        done.add(message);
        continue;
      }
      result.error = error.message;
      if (PASSING_CODES.includes(error.code)) {
        result.messagesNotMarked += newestFirst.length - index;
        return;
      }
      // It is about this one message: an earlier one of the conversation may be taken.
      if (message.sentAt < givenUp) {
        result.messagesGivenUp += 1;
        done.add(message);
      } else result.messagesNotMarked += 1;
    }
  }
}
