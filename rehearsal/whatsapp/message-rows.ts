import { randomBytes } from 'node:crypto';
import type { Pool, QueryResult, QueryResultRow } from 'pg';

/** An inbound message as WebApp's webhook payload names it. */
export interface InboundMessage {
  /** The sender's number, digits only. */
  from: string;
  id: string;
  /** Epoch milliseconds. */
  timestamp: number;
}

/** What to fill a store with. Rows of each kind are spread evenly over the conversations and the time. */
export interface Filling {
  /** Sent to customers: garbage. @default 0 */
  sent?: number;
  /** Not sent yet: must stay. @default 0 */
  pending?: number;
  /** Inbound and read: garbage. @default 0 */
  read?: number;
  /** Inbound and unread: must stay. @default 0 */
  unread?: number;
  /** Entries in the `media` table last used 30 to 90 days before `newest`: garbage. @default 0 */
  unusedMedia?: number;
  /** Entries in the `media` table last used in the 28 days before `newest`: must stay. @default 0 */
  usedMedia?: number;
  /** Customers. @default 5000 */
  conversations?: number;
  /** Epoch milliseconds. @default 20 days before `newest` */
  oldest?: number;
  /** Epoch milliseconds. */
  newest: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Media garbage is what was unused for over 30 days (Meta's documentation of media GC). */
export const MEDIA_UNUSED_MS = 30 * DAY_MS;

/** How long ago what is in use was used last, at most: it stays so for the next two days. */
const MEDIA_IN_USE_MS = 28 * DAY_MS;

/** Numbers of filled conversations begin here: 49 150 0000000. */
const FIRST_NUMBER = 491_500_000_000;

/** Makes inbound messages with ids of their own, in order of time, each conversation's spread over the whole of it. */
export function inboundMessages(wanted: {
  count: number;
  conversations: number;
  /** Epoch milliseconds. */
  oldest: number;
  newest: number;
}): InboundMessage[] {
  const { count, conversations, oldest, newest } = wanted;
  return Array.from({ length: count }, (_, index) => ({
    from: String(FIRST_NUMBER + (index % conversations)),
    id: `ABEG${randomBytes(10).toString('hex').toUpperCase()}`,
    timestamp: Math.floor(oldest + ((newest - oldest) * index) / Math.max(count - 1, 1)),
  }));
}

/** The sender's address in the database. */
export function addressOf(number: string): string {
  return `${number}@s.whatsapp.net`;
}

/**
 * A statement that adds or deletes rows. The server's own count of rows has it at once: by itself a server tells it up
 * to ten seconds later, within which a clock that jumps plays a night.
 */
export async function change<Row extends QueryResultRow>(
  pool: Pool,
  statement: string,
  values: unknown[],
): Promise<QueryResult<Row>> {
  const client = await pool.connect();
  try {
    const result = await client.query<Row>(statement, values);
    await client.query('SELECT pg_stat_force_next_flush()');
    return result;
  } finally {
    client.release();
  }
}

/** Writes rows of every kind. */
export async function fill(pool: Pool, filling: Filling): Promise<void> {
  const { sent = 0, pending = 0, read = 0, unread = 0, unusedMedia = 0, usedMedia = 0, newest } = filling;
  const { conversations = 5_000, oldest = newest - 20 * DAY_MS } = filling;
  for (const [rows, fromMe, status] of [
    [sent, true, 'sent'],
    [pending, true, 'pending'],
    [read, false, 'read'],
    [unread, false, 'unread'],
  ] as const) {
    await change(
      pool,
      `INSERT INTO messages (key_remote_jid, key_from_me, key_id, status, "timestamp", data)
       SELECT ($1::bigint + n % $2) || '@s.whatsapp.net', $3, 'gB' || upper($4) || lpad(to_hex(n), 12, '0'), $4,
              $5::bigint + ($6::bigint - $5::bigint) * n / $7, 'Your parcel ' || n || ' is on its way.'
       FROM generate_series(1, $7::bigint) AS n`,
      [FIRST_NUMBER, conversations, fromMe, status, oldest, newest, rows],
    );
  }
  await pool.query(
    `INSERT INTO chats
     SELECT key_remote_jid, max("timestamp") FROM messages GROUP BY key_remote_jid ON CONFLICT DO NOTHING`,
  );
  await change(
    pool,
    `INSERT INTO media (last_used, path)
     SELECT last_used, folder || '/' || left(name, 2) || '/' || name || '.jpeg'
     FROM (
       SELECT CASE WHEN n <= $1::bigint THEN $3::bigint - 1 - $6::bigint * (n - 1) / greatest($1::bigint, 1)
                   ELSE $4::bigint - $5::bigint * (n - $1::bigint - 1) / greatest($2::bigint, 1) END AS last_used,
              CASE n % 2 WHEN 0 THEN 'incoming' ELSE 'outgoing' END AS folder,
              replace(gen_random_uuid()::text, '-', '') AS name
       FROM generate_series(1, $1::bigint + $2::bigint) AS n
     ) AS file`,
    [unusedMedia, usedMedia, newest - MEDIA_UNUSED_MS, newest, MEDIA_IN_USE_MS, 2 * MEDIA_UNUSED_MS],
  );
}

export async function insertInbound(pool: Pool, messages: readonly InboundMessage[]): Promise<void> {
  await change(
    pool,
    `WITH inbound AS (
       INSERT INTO messages (key_remote_jid, key_from_me, key_id, status, "timestamp", data)
       SELECT jid, false, id, 'unread', sent_at, 'Where is my parcel?'
       FROM unnest($1::text[], $2::text[], $3::bigint[]) AS message (jid, id, sent_at)
       RETURNING key_remote_jid, "timestamp"
     )
     INSERT INTO chats SELECT key_remote_jid, max("timestamp") FROM inbound GROUP BY key_remote_jid
     ON CONFLICT (key_remote_jid) DO UPDATE SET last_message_timestamp = excluded.last_message_timestamp`,
    [
      messages.map(({ from }) => addressOf(from)),
      messages.map(({ id }) => id),
      messages.map(({ timestamp }) => timestamp),
    ],
  );
}
