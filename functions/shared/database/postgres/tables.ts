import { StatementRefused } from '../contract/errors.ts';
import { LOCK_NOT_AVAILABLE } from './errors.ts';
import type { PostgresSession } from './session.ts';

/** A table, with those that inherit from it and its partitions. */
export interface Table {
  schema: string;
  name: string;
  parts: Part[];
  /** Whether parts of it lie on another server. */
  isElsewhere: boolean;
  /** Whether the server is told not to count changes, of whichever role in this database (`track_counts`). */
  isUncounted: boolean;
  /** To compare tables of one name. */
  totalBytes: number;
}

/** One table of the catalog that holds rows. */
export interface Part {
  oid: string;
  /** Rows as of the last vacuum, ANALYZE or building of an index; -1 if there was none. */
  tuples: number;
  /** Pages as of then. */
  pages: number;
  /** Live rows: as of the last vacuum or ANALYZE, and what was inserted and deleted since; or since a reset. */
  live: number;
  /** Rows inserted, from the beginning or since a reset. */
  inserted: number;
  /** Rows deleted, likewise. */
  deleted: number;
  /** Rows inserted, updated and deleted since the last ANALYZE. */
  changed: number;
  /** Whether a vacuum or ANALYZE has set the counters right since they were reset. */
  counted: boolean;
  /** Whether the last that did was one that somebody asked for, and not the server's own. */
  countedByHand: boolean;
  /** Whether it was a vacuum, and rows have changed since the last ANALYZE. */
  countedByVacuum: boolean;
  /** Whether it is unlogged, and this server a standby, which has none of its rows. */
  isOnPrimaryOnly: boolean;
  /** How many pages ANALYZE reads of it: 300 for each of the columns' statistics target. */
  samplePages: number;
  /** Bytes as of the last vacuum or ANALYZE. */
  tableBytes: number;
  indexBytes: number;
}

/** What a view, or a table of another server, is called. */
const NOT_TABLES: Record<string, string> = { v: 'a view', m: 'a materialized view', f: 'a foreign table' };

/** Of the session, or of any role in this database. A superuser's own session may have it off without a sign. */
const UNCOUNTED = `(NOT current_setting('track_counts')::boolean OR EXISTS (
         SELECT FROM pg_db_role_setting s, unnest(s.setconfig) setting
         WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
           AND setting ~* '^track_counts=' AND NOT split_part(setting, '=', 2)::boolean))`;

/**
 * The least by which anybody's ANALYZE may have sampled: of a role or the database that has one of its own, or the server's. Where the own role has
 * one, the server's is not shown.
 */
const STATISTICS_TARGET = `(SELECT least(
         (SELECT CASE WHEN source LIKE '%user' THEN 1 ELSE setting::bigint END FROM pg_settings WHERE name = 'default_statistics_target'),
         (SELECT min(CASE WHEN split_part(setting, '=', 2) ~ '^[0-9]+$' THEN split_part(setting, '=', 2)::bigint ELSE 1 END)
            FROM pg_db_role_setting s, unnest(s.setconfig) setting
           WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND setting ~* '^default_statistics_target=')))`;

/**
 * Whether a child is one for who asks. Not the temporary one of a session, which only that session sees with its parent; nor a partition
 * whose `DETACH … CONCURRENTLY` was interrupted, and of which the parent shows nothing any more (from PostgreSQL 14 on).
 */
export const IS_SHOWN_CHILD = `(to_jsonb(i) ->> 'inhdetachpending') IS DISTINCT FROM 'true'
         AND NOT EXISTS (SELECT FROM pg_class t WHERE t.oid = i.inhrelid AND t.relpersistence = 't')`;

/** A standby keeps no counters of its tables; those that it may have are of when it was the primary. */
const HAS_COUNTERS = 'NOT pg_is_in_recovery()';

/** By the catalog alone, in which the table's own locks do not count. In all schemas: the empty one may be what an upgrade left. */
export async function findTables(
  session: PostgresSession,
  name: string,
): Promise<{ tables: Table[]; views: string[] }> {
  const rows = await session.query(
    `WITH RECURSIVE named AS (
       SELECT c.oid, c.oid AS root, n.nspname AS schema, c.relkind AS root_kind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
         AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_temp%'
     ), tree AS (
       SELECT * FROM named UNION SELECT i.inhrelid, t.root, t.schema, t.root_kind FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid AND ${IS_SHOWN_CHILD}
     )
     SELECT t.root, t.schema, t.root_kind, c.oid, c.relkind AS kind, c.reltuples::int8 AS tuples, c.relpages AS pages,
       counter.live, counter.inserted, counter.deleted, counter.changed,
       looked.by_vacuum IS NOT NULL OR looked.by_analyze IS NOT NULL AS counted,
       coalesce(greatest(looked.vacuum_by_hand, looked.analyze_by_hand) > coalesce(greatest(looked.vacuum_by_itself, looked.analyze_by_itself), '-infinity'), false) AS by_hand,
       counter.changed > 0 AND coalesce(looked.by_vacuum > coalesce(looked.by_analyze, '-infinity'), false) AS vacuumed_last,
       c.relpersistence = 'u' AND pg_is_in_recovery() AS on_primary_only,
       ${UNCOUNTED} AS uncounted,
       -- PostgreSQL 17 and later have null where others have -1, and each reads 100 rows at the least.
       greatest(100, 300 * (SELECT max(coalesce(nullif(a.attstattarget, -1), ${STATISTICS_TARGET}))
         FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)) AS sample_pages,
       (c.relpages + coalesce(o.relpages, 0)) * current_setting('block_size')::bigint AS table_bytes,
       (SELECT coalesce(sum(x.relpages), 0) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid)
         * current_setting('block_size')::bigint AS index_bytes
     FROM tree t JOIN pg_class c ON c.oid = t.oid LEFT JOIN pg_class o ON o.oid = c.reltoastrelid
       CROSS JOIN LATERAL (SELECT CASE WHEN ${HAS_COUNTERS} THEN c.oid END) AS mine (oid)
       CROSS JOIN LATERAL (SELECT coalesce(pg_stat_get_live_tuples(mine.oid), 0) AS live, coalesce(pg_stat_get_tuples_inserted(mine.oid), 0) AS inserted,
         coalesce(pg_stat_get_tuples_deleted(mine.oid), 0) AS deleted, coalesce(pg_stat_get_mod_since_analyze(mine.oid), 0) AS changed) AS counter
       CROSS JOIN LATERAL (SELECT vacuum_by_hand, vacuum_by_itself, analyze_by_hand, analyze_by_itself,
           greatest(vacuum_by_hand, vacuum_by_itself) AS by_vacuum, greatest(analyze_by_hand, analyze_by_itself) AS by_analyze
         FROM (SELECT pg_stat_get_last_vacuum_time(mine.oid) AS vacuum_by_hand, pg_stat_get_last_autovacuum_time(mine.oid) AS vacuum_by_itself,
           pg_stat_get_last_analyze_time(mine.oid) AS analyze_by_hand, pg_stat_get_last_autoanalyze_time(mine.oid) AS analyze_by_itself) AS times) AS looked
     ORDER BY t.root`,
    [name],
  );
  const tables: Table[] = [];
  const views: string[] = [];
  for (const [, members = []] of Map.groupBy(rows, ({ root }) => root)) {
    const [{ schema, root_kind: kind } = {}] = members;
    const notTable = NOT_TABLES[String(kind)];
    if (notTable) {
      views.push(`${notTable} in schema ${schema}`);
      continue;
    }
    const parts = members.filter((row) => row.kind === 'r').map(partOf);
    tables.push({
      schema: String(schema),
      name,
      parts,
      isElsewhere: members.some((row) => row.kind === 'f'),
      isUncounted: members.some((row) => row.uncounted === true),
      totalBytes: await totalBytesOf(session, parts),
    });
  }
  return { tables, views };
}

async function totalBytesOf(session: PostgresSession, parts: readonly Part[]): Promise<number> {
  const files = await filesOf(session, parts);
  return parts.reduce((total, { oid, tableBytes, indexBytes }) => {
    const now = files.get(oid);
    return total + (now ? now.tableBytes + now.indexBytes : tableBytes + indexBytes);
  }, 0);
}

function partOf(row: Record<string, unknown>): Part {
  return {
    oid: String(row.oid),
    tuples: Number(row.tuples),
    pages: Number(row.pages),
    live: Number(row.live),
    inserted: Number(row.inserted),
    deleted: Number(row.deleted),
    changed: Number(row.changed),
    counted: row.counted === true,
    countedByHand: row.by_hand === true,
    countedByVacuum: row.vacuumed_last === true,
    isOnPrimaryOnly: row.on_primary_only === true,
    samplePages: Number(row.sample_pages),
    tableBytes: Number(row.table_bytes),
    indexBytes: Number(row.index_bytes),
  };
}

/** How long to wait for a lock on a table: under an upgrade of the schema or VACUUM FULL it can take hours. */
export const LOCK_TIMEOUT_MS = 100;

/** What the files of a part take now. */
export interface Files {
  pages: number;
  tableBytes: number;
  indexBytes: number;
}

/**
 * Files by the part's id. None while somebody holds a part's strongest lock: the functions take a lock themselves. A lock on a table is one on each
 * of its partitions, so after the first that is waited for in vain no other is.
 */
export async function filesOf(session: PostgresSession, parts: readonly Part[]): Promise<Map<string, Files>> {
  const oids = parts.map(({ oid }) => oid);
  if (oids.length === 0) return new Map();
  const all = await filesIfUnlocked(session, oids);
  if (all) return all;
  const files = new Map<string, Files>();
  if (oids.length === 1) return files;
  await session.query('SET lock_timeout = 1');
  for (const oid of oids)
    for (const [id, of] of (await filesIfUnlocked(session, [oid])) ?? []) files.set(id, of);
  await session.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
  return files;
}

async function filesIfUnlocked(
  session: PostgresSession,
  oids: readonly string[],
): Promise<Map<string, Files> | undefined> {
  try {
    // By their ids it needs no right on the tables or the schemas.
    const rows = await session.query(
      `SELECT oid, pg_relation_size(oid) / current_setting('block_size')::bigint AS pages, pg_table_size(oid) AS table_bytes, pg_indexes_size(oid) AS index_bytes
       FROM unnest($1::oid[]) AS parts (oid)`,
      [oids],
    );
    // All null: dropped in the meantime.
    const there = rows.filter(({ pages }) => pages !== null);
    return new Map(
      there.map(({ oid, pages, table_bytes, index_bytes }) => [
        String(oid),
        { pages: Number(pages), tableBytes: Number(table_bytes), indexBytes: Number(index_bytes) },
      ]),
    );
  } catch (error) {
    if (isRefusal(error, LOCK_NOT_AVAILABLE)) return undefined;
    throw error;
  }
}

export function isRefusal(error: unknown, code: string): boolean {
  return error instanceof StatementRefused && error.code === code;
}
