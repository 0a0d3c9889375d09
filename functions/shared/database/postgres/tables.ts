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
       SELECT * FROM named UNION SELECT i.inhrelid, t.root, t.schema, t.root_kind FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid
     )
     SELECT t.root, t.schema, t.root_kind, c.oid, c.relkind AS kind, c.reltuples AS tuples, c.relpages AS pages,
       pg_stat_get_live_tuples(c.oid) AS live, pg_stat_get_tuples_inserted(c.oid) AS inserted,
       pg_stat_get_tuples_deleted(c.oid) AS deleted, pg_stat_get_mod_since_analyze(c.oid) AS changed,
       coalesce(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid),
         pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) IS NOT NULL AS counted,
       coalesce(greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_analyze_time(c.oid))
         > coalesce(greatest(pg_stat_get_last_autovacuum_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)), '-infinity'), false) AS by_hand,
       ${UNCOUNTED} AS uncounted,
       300 * greatest(current_setting('default_statistics_target')::bigint,
         (SELECT coalesce(max(a.attstattarget), 0) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0)) AS sample_pages,
       (c.relpages + coalesce(o.relpages, 0)) * current_setting('block_size')::bigint AS table_bytes,
       (SELECT coalesce(sum(x.relpages), 0) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid)
         * current_setting('block_size')::bigint AS index_bytes
     FROM tree t JOIN pg_class c ON c.oid = t.oid LEFT JOIN pg_class o ON o.oid = c.reltoastrelid
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
  let total = 0;
  for (const part of parts) {
    const files = await filesOf(session, part);
    total += files ? files.tableBytes + files.indexBytes : part.tableBytes + part.indexBytes;
  }
  return total;
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
    samplePages: Number(row.sample_pages),
    tableBytes: Number(row.table_bytes),
    indexBytes: Number(row.index_bytes),
  };
}

/** Undefined while somebody holds the table's strongest lock: the functions take a lock themselves. */
export async function filesOf(
  session: PostgresSession,
  { oid }: Part,
): Promise<{ pages: number; tableBytes: number; indexBytes: number } | undefined> {
  try {
    // By its id it needs no right on the table or the schema.
    const [row] = await session.query(
      `SELECT pg_relation_size($1::oid) / current_setting('block_size')::bigint AS pages,
         pg_table_size($1::oid) AS table_bytes, pg_indexes_size($1::oid) AS index_bytes`,
      [oid],
    );
    // All null: dropped in the meantime.
    if (row?.pages === null || row === undefined) return undefined;
    return {
      pages: Number(row.pages),
      tableBytes: Number(row.table_bytes),
      indexBytes: Number(row.index_bytes),
    };
  } catch (error) {
    if (isRefusal(error, LOCK_NOT_AVAILABLE)) return undefined;
    throw error;
  }
}

export function isRefusal(error: unknown, code: string): boolean {
  return error instanceof StatementRefused && error.code === code;
}
