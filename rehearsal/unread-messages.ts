import { inboundMessages } from './whatsapp/message-rows.ts';
import type { PlayedDeployment } from './world.ts';

const HOUR = 3600 * 1000;
const DAY = 24 * HOUR;

/** Inbound messages of the single instance that are not to be marked. */
export const YOUNG = 40;
export const UNKNOWN = 15;

/** Thousands of messages from customers, most of them old enough to be marked read, some not, some unknown by now. */
export async function deliverUnread(
  { webApp, store }: PlayedDeployment,
  unread: number,
  now: number,
): Promise<void> {
  const conversations = Math.ceil(unread / 10);
  const old = { oldest: now - 6 * DAY, newest: now - 2 * DAY };
  // The newest of their conversations, so that each is asked for before an earlier one is.
  const unknown = inboundMessages({
    count: UNKNOWN,
    conversations,
    oldest: now - 30 * HOUR,
    newest: now - 29 * HOUR,
  });
  await webApp.deliverInbound([
    ...inboundMessages({ count: unread, conversations, ...old }),
    ...unknown,
    ...inboundMessages({
      count: YOUNG,
      conversations,
      oldest: now - 2 * HOUR,
      newest: now,
    }),
  ]);
  await store?.forget(unknown.map(({ id }) => id));
}
