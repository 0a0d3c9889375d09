import { Client, escapeIdentifier, Pool } from 'pg';
import { change, type Filling, fill, type InboundMessage, insertInbound } from './message-rows.ts';

/** A database server and its administrator's login, as `startPostgres` returns it. */
export interface DatabaseServer {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
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
