import { randomBytes } from 'node:crypto';
import { Client, escapeIdentifier, Pool, type QueryResult, type QueryResultRow } from 'pg';

/** A database server and its administrator's login, as `startPostgres` returns it. */
export interface DatabaseServer {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

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

/** Rows by kind, counted by SQL. */
export interface RowCounts {
  messages: number;
  sent: number;
  pending: number;
  read: number;
  unread: number;
  media: number;
}

/** The client's databases, without the prefix; that of `messages` first. */
export const CLIENT_DATABASES = ['messageStore', 'callbackStore', 'axolotlStore', 'contactStore', 'waweb'];

/** An entry of the `media` table. */
export interface MediaEntry {
  id: string;
  /** Of its file, in the folder of media. */
  path: string;
}

/** Which rows to delete of which kind. */
export interface GarbageChunk {
  /** Those of one CoreApp: of conversations whose number in `shards` this is. */
  shard: number;
  shards: number;
  /** Only rows behind this one, so that no chunk looks through what earlier ones have left. */
  after: string;
  /** At most so many. */
  limit: number;
}

/** The databases of one deployment, and what the client does with the rows in them. */
export interface MessageStore {
  /** Each database, as the server names it. */
  databases: string[];
  /** Connections to the database of `messages`, for what is not offered here. */
  pool: Pool;
  fill(filling: Filling): Promise<void>;
  count(): Promise<RowCounts>;
  insertInbound(messages: readonly InboundMessage[]): Promise<void>;
  /** Marks an inbound message and the earlier ones of its conversation; `since` (epoch milliseconds) bounds its age. */
  markRead(id: string, since: number): Promise<'marked' | 'unknown' | 'too old'>;
  /** Deletes inbound messages that the client is to know no longer. */
  forget(ids: readonly string[]): Promise<void>;
  /** Deletes messages that are sent or read. */
  deleteMessages(chunk: GarbageChunk): Promise<{ deleted: number; last: string }>;
  hasGarbage(shard: number, shards: number, after: string): Promise<boolean>;
  /** All media entries. */
  media(): Promise<MediaEntry[]>;
  /** Media entries not used since a time (epoch milliseconds), with ids above `after`, in their order. */
  unusedMedia(unusedSince: number, after: string, limit: number): Promise<MediaEntry[]>;
  deleteMedia(entries: readonly MediaEntry[]): Promise<void>;
  hasUnusedMedia(unusedSince: number): Promise<boolean>;
  close(): Promise<void>;
  /** Closes it and deletes the databases. */
  drop(): Promise<void>;
}

/** What WebApp and the CoreApps do with rows. */
export type ClientRows = Pick<
  MessageStore,
  | 'insertInbound'
  | 'markRead'
  | 'deleteMessages'
  | 'hasGarbage'
  | 'unusedMedia'
  | 'deleteMedia'
  | 'hasUnusedMedia'
>;

/** Those of a client that is only asked for its health. */
export const NO_ROWS: ClientRows = {
  insertInbound: async () => {},
  markRead: async () => 'unknown',
  deleteMessages: async ({ after }) => ({ deleted: 0, last: after }),
  hasGarbage: async () => false,
  unusedMedia: async () => [],
  deleteMedia: async () => {},
  hasUnusedMedia: async () => false,
};

/**
 * Makes the databases of one installation of the client, each named by a prefix and its own name, or opens
 * those that exist. The client itself leaves `waweb` unquoted, so that PostgreSQL folds that name to lower case.
 *
 * Of the columns of `messages`, `key_remote_jid` and `remote_resource` are known to be the client's; the rest of
 * the tables is what the stand-in needs. The database of the client's `media` table is unknown; here it is the
 * same one.
 */
export async function openMessageStore(server: DatabaseServer, prefix: string): Promise<MessageStore> {
  const databases = CLIENT_DATABASES.map((name) => `${prefix}${name}`).map((name) =>
    name.endsWith('waweb') ? name.toLowerCase() : name,
  );
  const [messageStore = ''] = databases;
  const isNew = await createDatabases(server, databases);
  const pool = new Pool({ ...login(server), database: messageStore, max: 10, options: PLANNING });
  // A server that is stopped under an idle connection is no error of ours.
  pool.on('error', () => {});
  if (isNew) await pool.query(TABLES);
  return {
    databases,
    pool,
    fill: (filling) => fill(pool, filling),
    count: () => count(pool),
    insertInbound: (messages) => insertInbound(pool, messages),
    markRead: (id, since) => markRead(pool, id, since),
    forget: (ids) => forget(pool, ids),
    deleteMessages: (chunk) => deleteMessages(pool, chunk),
    hasGarbage: (shard, shards, after) => hasGarbage(pool, shard, shards, after),
    media: () => media(pool),
    unusedMedia: (unusedSince, after, limit) => unusedMedia(pool, unusedSince, after, limit),
    deleteMedia: (entries) => deleteMedia(pool, entries),
    hasUnusedMedia: (unusedSince) => hasUnusedMedia(pool, unusedSince),
    close: () => pool.end(),
    async drop() {
      await pool.end();
      await dropDatabases(server, databases);
    },
  };
}

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
 * A table of millions of rows that was never analyzed: without this the planner takes garbage for rare, and looks
 * through all rows and sorts what it finds for each chunk.
 */
const PLANNING = '-c enable_sort=off';

const TABLES = `
  CREATE UNLOGGED TABLE messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key_remote_jid text NOT NULL,
    key_from_me boolean NOT NULL,
    key_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'sent', 'unread', 'read')),
    "timestamp" bigint NOT NULL,
    remote_resource text,
    data text
  );
  CREATE INDEX messages_inbound ON messages (key_id) WHERE NOT key_from_me;
  CREATE INDEX messages_unread ON messages (key_remote_jid, "timestamp") WHERE status = 'unread';
  CREATE TABLE chats (key_remote_jid text PRIMARY KEY, last_message_timestamp bigint NOT NULL);
  CREATE TABLE messages_receipt_log (key_id text NOT NULL, status text NOT NULL, "timestamp" bigint NOT NULL);
  CREATE TABLE media (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    last_used bigint NOT NULL,
    path text NOT NULL
  );
  CREATE INDEX media_last_used ON media (last_used);
`;

const DAY_MS = 24 * 60 * 60 * 1000;

/** Media garbage is what was unused for over 30 days (Meta's documentation of media GC). */
export const MEDIA_UNUSED_MS = 30 * DAY_MS;

/** How long ago what is in use was used last, at most: it stays so for the next two days. */
const MEDIA_IN_USE_MS = 28 * DAY_MS;

/** Numbers of filled conversations begin here: 49 150 0000000. */
const FIRST_NUMBER = 491_500_000_000;

async function createDatabases(server: DatabaseServer, databases: readonly string[]): Promise<boolean> {
  const client = new Client(login(server));
  await client.connect();
  try {
    const there = await client.query('SELECT datname FROM pg_database WHERE datname = ANY ($1)', [databases]);
    if (there.rowCount === databases.length) return false;
    for (const database of databases) {
      // Copying the template's files is the faster way where nothing waits for the disk.
      await client.query(`CREATE DATABASE ${escapeIdentifier(database)} STRATEGY file_copy`);
    }
    return true;
  } finally {
    await client.end();
  }
}

async function dropDatabases(server: DatabaseServer, databases: readonly string[]): Promise<void> {
  const client = new Client(login(server));
  await client.connect();
  try {
    for (const database of databases)
      await client.query(`DROP DATABASE ${escapeIdentifier(database)} WITH (FORCE)`);
  } finally {
    await client.end();
  }
}

/**
 * A statement that adds or deletes rows. The server's own count of rows has it at once: by itself a server tells it up
 * to ten seconds later, within which a clock that jumps plays a night.
 */
async function change<Row extends QueryResultRow>(
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

async function fill(pool: Pool, filling: Filling): Promise<void> {
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

async function count(pool: Pool): Promise<RowCounts> {
  const { rows } = await pool.query<Record<keyof RowCounts, string>>(
    `SELECT count(*) AS messages,
            count(*) FILTER (WHERE status = 'sent') AS sent,
            count(*) FILTER (WHERE status = 'pending') AS pending,
            count(*) FILTER (WHERE status = 'read') AS read,
            count(*) FILTER (WHERE status = 'unread') AS unread,
            (SELECT count(*) FROM media) AS media
     FROM messages`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('a count without a row');
  return {
    messages: Number(row.messages),
    sent: Number(row.sent),
    pending: Number(row.pending),
    read: Number(row.read),
    unread: Number(row.unread),
    media: Number(row.media),
  };
}

async function insertInbound(pool: Pool, messages: readonly InboundMessage[]): Promise<void> {
  await change(
    pool,
    `WITH inbound AS (
       INSERT INTO messages (key_remote_jid, key_from_me, key_id, status, "timestamp", data)
       SELECT jid, false, id, 'unread', sent_at, 'Place is my parcel?'
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

async function markRead(pool: Pool, id: string, since: number): Promise<'marked' | 'unknown' | 'too old'> {
  const { rows } = await pool.query<{ key_remote_jid: string; timestamp: string }>(
    `SELECT key_remote_jid, "timestamp" FROM messages WHERE key_id = $1 AND NOT key_from_me`,
    [id],
  );
  const [message] = rows;
  if (message === undefined) return 'unknown';
  if (Number(message.timestamp) < since) return 'too old';
  await pool.query(
    `UPDATE messages SET status = 'read' WHERE key_remote_jid = $1 AND status = 'unread' AND "timestamp" <= $2`,
    [message.key_remote_jid, message.timestamp],
  );
  return 'marked';
}

async function forget(pool: Pool, ids: readonly string[]): Promise<void> {
  await change(pool, 'DELETE FROM messages WHERE key_id = ANY ($1) AND NOT key_from_me', [ids]);
}

/** The conversation decides the CoreApp, as in a real cluster, where a CoreApp owns the conversations of its shard. */
const IS_GARBAGE_OF_SHARD = `status IN ('sent', 'read') AND id > $1 AND mod(abs(hashtext(key_remote_jid)::bigint), $3) = $2`;

async function deleteMessages(
  pool: Pool,
  { shard, shards, after, limit }: GarbageChunk,
): Promise<{ deleted: number; last: string }> {
  const { rows } = await change<{ deleted: string; last: string }>(
    pool,
    `WITH garbage AS (
       SELECT id FROM messages WHERE ${IS_GARBAGE_OF_SHARD} ORDER BY id LIMIT $4
     ), gone AS (
       DELETE FROM messages USING garbage WHERE messages.id = garbage.id RETURNING messages.id
     )
     SELECT count(*) AS deleted, coalesce(max(id), $1) AS last FROM gone`,
    [after, shard, shards, limit],
  );
  const [row] = rows;
  return row === undefined ? { deleted: 0, last: after } : { deleted: Number(row.deleted), last: row.last };
}

async function hasGarbage(pool: Pool, shard: number, shards: number, after: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    `SELECT FROM messages WHERE ${IS_GARBAGE_OF_SHARD} ORDER BY id LIMIT 1`,
    [after, shard, shards],
  );
  return rowCount === 1;
}

async function media(pool: Pool): Promise<MediaEntry[]> {
  return (await pool.query<MediaEntry>('SELECT id, path FROM media')).rows;
}

async function unusedMedia(
  pool: Pool,
  unusedSince: number,
  after: string,
  limit: number,
): Promise<MediaEntry[]> {
  const { rows } = await pool.query<MediaEntry>(
    'SELECT id, path FROM media WHERE last_used < $1 AND id > $2 ORDER BY id LIMIT $3',
    [unusedSince, after, limit],
  );
  return rows;
}

async function deleteMedia(pool: Pool, entries: readonly MediaEntry[]): Promise<void> {
  await change(pool, 'DELETE FROM media WHERE id = ANY ($1)', [entries.map(({ id }) => id)]);
}

async function hasUnusedMedia(pool: Pool, unusedSince: number): Promise<boolean> {
  const { rowCount } = await pool.query('SELECT FROM media WHERE last_used < $1 LIMIT 1', [unusedSince]);
  return rowCount === 1;
}

function login({ host, port, user, password, database }: DatabaseServer) {
  return { host, port, user, password, database };
}
