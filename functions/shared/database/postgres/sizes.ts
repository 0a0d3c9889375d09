import pg from 'pg';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { MissingPrivilege, missingPrivilege, StatementRefused, TableNotFound } from '../contract/errors.ts';
import type {
  ExactCount,
  LargestTable,
  RowEstimate,
  SizeReader,
  TableBytes,
  TableSearch,
  TableSize,
} from '../contract/sizes.ts';
import { estimate, QUESTION_LIMIT_MS, tableNotFound } from '../sizes/questions.ts';
import { INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, QUERY_CANCELED } from './errors.ts';
import { type PostgresSession, withPostgres } from './session.ts';

/** Sizes on PostgreSQL 12 and later, and Aurora PostgreSQL. */
export function postgresSizes(address: DatabaseAddress): SizeReader {
  /** Does the work in the first of the databases that has the table. */
  const inTable = async <T>(
    login: Login,
    search: TableSearch,
    work: (session: PostgresSession, table: Table, database: string) => Promise<T>,
  ): Promise<T> => {
    const databases = await databasesToSearch(address, login, search);
    for (const database of databases) {
      const done = await connected({ ...address, database }, login, async (session) => {
        const table = await findTable(session, address, search.table, database);
        return table && { result: await work(session, table, database) };
      });
      if (done) return done.result;
    }
    throw tableNotFound(address, { table: search.table, databases });
  };
  return {
    table: (login, search) => inTable(login, search, sizeOf),
    count: (login, search, limitMs) =>
      inTable(login, search, (session, table) => count(session, login, table, limitMs)),
    largestTable: async (login, databases) => {
      let largest: LargestTable = { kind: 'unknown', reason: `there is no table in ${databases.join(', ')}` };
      for (const { name, mayConnect } of await existingDatabases(address, login, databases)) {
        if (!mayConnect) throw mayNotConnect(login, [name]);
        const found = await connected({ ...address, database: name }, login, (session) =>
          largestTable(session, name),
        );
        if (found?.kind === 'unknown') return found;
        if (found && (largest.kind === 'unknown' || found.bytes > largest.bytes)) largest = found;
      }
      return largest;
    },
    idleConnections: (login, databases, idleSeconds) =>
      connected(address, login, async (session) => {
        const names = await matchingDatabases(session, address, databases);
        return idleConnections(
          session,
          login,
          names.map(({ name }) => name),
          idleSeconds,
        );
      }),
  };
}

/**
 * How wrong the counters of live rows may be. They start from a sample of a vacuum or ANALYZE and are exact from there
 * on: 1.5 % was measured. Aborted transactions and uneven pages add to it.
 */
const COUNTERS_FACTOR = 1.2;

/**
 * Rows that must have been inserted for each page of a table: longer ones are moved out of it
 * (TOAST_TUPLES_PER_PAGE). Counters that know of fewer were lost in a crash or a reset, or are not yet written.
 */
const LEAST_ROWS_PER_PAGE = 4;

/** What a page can hold at the most, with pages of 8 KiB (MaxHeapTuplesPerPage). */
const MOST_ROWS_PER_PAGE = 291;

/** How long to wait for a lock on the table: under an upgrade of the schema or VACUUM FULL it can take hours. */
const LOCK_TIMEOUT_MS = 100;

function connected<T>(
  address: DatabaseAddress,
  login: Login,
  work: (session: PostgresSession) => Promise<T>,
): Promise<T> {
  return withPostgres(address, login, async (session) => {
    await session.query(
      `SET lock_timeout = ${LOCK_TIMEOUT_MS}; SET statement_timeout = ${QUESTION_LIMIT_MS}; SET application_name = 'database size'`,
    );
    return work(session);
  });
}

/** @throws TableNotFound, MissingPrivilege */
async function databasesToSearch(
  address: DatabaseAddress,
  login: Login,
  search: TableSearch,
): Promise<string[]> {
  const found = await existingDatabases(address, login, search.databases);
  if (found.length === 0) throw tableNotFound(address, search, ': there are no such databases');
  const open = found.filter(({ mayConnect }) => mayConnect);
  if (open.length > 0) return open.map(({ name }) => name);
  throw mayNotConnect(
    login,
    found.map(({ name }) => name),
  );
}

function existingDatabases(address: DatabaseAddress, login: Login, names: readonly string[]) {
  return connected(address, login, (session) => matchingDatabases(session, address, names));
}

function mayNotConnect({ username }: Login, databases: readonly string[]): MissingPrivilege {
  return new MissingPrivilege(
    `The database user ${username} may not connect to ${databases.join(', ')}. ` +
      `An administrator grants it: ${databases.map((name) => `GRANT CONNECT ON DATABASE ${pg.escapeIdentifier(name)} TO ${pg.escapeIdentifier(username)}`).join('; ')}`,
  );
}

/**
 * The databases of these names, in their order. A name that was not quoted when the database was made is in lower
 * case there, so a name is first looked for as it is, and then without heed of case, as long as only one matches.
 */
async function matchingDatabases(
  session: PostgresSession,
  { host, port }: DatabaseAddress,
  names: readonly string[],
): Promise<{ name: string; mayConnect: boolean }[]> {
  const rows = await session.query(
    "SELECT datname AS name, has_database_privilege(oid, 'CONNECT') AS may_connect FROM pg_database WHERE datallowconn AND lower(datname) = ANY($1)",
    [names.map((name) => name.toLowerCase())],
  );
  const all = rows.map((row) => ({ name: String(row.name), mayConnect: row.may_connect === true }));
  return names.flatMap((wanted) => {
    const exact = all.filter(({ name }) => name === wanted);
    const similar = all.filter(({ name }) => name.toLowerCase() === wanted.toLowerCase());
    if (exact.length === 0 && similar.length > 1) {
      throw new TableNotFound(
        `${host}:${port} has no database ${wanted}, and ${similar.map(({ name }) => name).join(' and ')} differ from it in case only. ` +
          'Spell it in the configuration as the server does.',
      );
    }
    return exact.length > 0 ? exact : similar;
  });
}

interface Table {
  oid: string;
  schema: string;
  name: string;
  /** Rows as of the last vacuum, ANALYZE or building of an index; -1 if there was none. */
  tuples: number;
  /** Pages as of then. */
  pages: number;
  /** Live rows: as of the last vacuum or ANALYZE, and what was inserted and deleted since; or since a reset. */
  live: number;
  /** Rows inserted, from the beginning or since a reset. */
  inserted: number;
  /** Whether a vacuum or ANALYZE has set the counters right since they were reset. */
  counted: boolean;
  /** Bytes as of the last vacuum or ANALYZE. */
  tableBytes: number;
  indexBytes: number;
}

/** By the catalog alone, in which the table's own locks do not count. */
async function findTable(
  session: PostgresSession,
  address: DatabaseAddress,
  name: string,
  database: string,
): Promise<Table | undefined> {
  const rows = await session.query(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name, c.reltuples AS tuples, c.relpages AS pages,
       pg_stat_get_live_tuples(c.oid) AS live, pg_stat_get_tuples_inserted(c.oid) AS inserted,
       coalesce(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid),
         pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) IS NOT NULL AS counted,
       (c.relpages + coalesce(t.relpages, 0)) * current_setting('block_size')::bigint AS table_bytes,
       (SELECT coalesce(sum(x.relpages), 0) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid)
         * current_setting('block_size')::bigint AS index_bytes
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
     WHERE c.relkind = 'r' AND c.relname = $1 AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_temp%'`,
    [name],
  );
  const row = rows.find(({ schema }) => schema === 'public') ?? rows[0];
  if (!row) return undefined;
  if (rows.length > 1 && row.schema !== 'public') {
    throw tableNotFound(
      address,
      { table: name, databases: [database] },
      `'s schema public, and several elsewhere: ${rows.map(({ schema }) => schema).join(', ')}`,
    );
  }
  return {
    oid: String(row.oid),
    schema: String(row.schema),
    name: String(row.name),
    tuples: Number(row.tuples),
    pages: Number(row.pages),
    live: Number(row.live),
    inserted: Number(row.inserted),
    counted: row.counted === true,
    tableBytes: Number(row.table_bytes),
    indexBytes: Number(row.index_bytes),
  };
}

async function sizeOf(session: PostgresSession, table: Table, database: string): Promise<TableSize> {
  const files = await filesOf(session, table);
  const bytes: TableBytes = files
    ? { kind: 'known', table: files.tableBytes, indexes: files.indexBytes, from: 'files' }
    : table.pages > 0
      ? { kind: 'known', table: table.tableBytes, indexes: table.indexBytes, from: 'statistics' }
      : {
          kind: 'unknown',
          reason: 'somebody holds a lock by which nobody may look, and nothing is known from before',
        };
  return { database, rows: rowsOf(table, files?.pages), bytes };
}

/** Undefined: the database has no table. */
async function largestTable(session: PostgresSession, database: string): Promise<LargestTable | undefined> {
  try {
    const [row] = await session.query(
      `SELECT c.relname AS name, pg_total_relation_size(c.oid) AS bytes FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_temp%'
       ORDER BY bytes DESC NULLS LAST LIMIT 1`,
    );
    return row && { kind: 'known', database, table: String(row.name), bytes: Number(row.bytes) };
  } catch (error) {
    if (!isRefusal(error, LOCK_NOT_AVAILABLE)) throw error;
    return {
      kind: 'unknown',
      reason: `somebody holds a lock on a table of ${database} by which nobody may look`,
    };
  }
}

/** Undefined while somebody holds the table's strongest lock: the functions take a lock themselves. */
async function filesOf(
  session: PostgresSession,
  { oid }: Table,
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

function rowsOf(
  { tuples, pages: pagesThen, live, inserted, counted }: Table,
  pages: number | undefined,
): RowEstimate {
  if (counted) return estimate(live, COUNTERS_FACTOR, MOST_ROWS_PER_PAGE);
  // Nothing has set the counters right yet, so that a page's limit alone tells what they may have missed.
  const atMost = (pages ?? pagesThen) * MOST_ROWS_PER_PAGE;
  const complete = pages !== undefined && inserted >= LEAST_ROWS_PER_PAGE * (pages - 1);
  if (complete) return { kind: 'estimate', rows: live, atLeast: Math.floor(live / COUNTERS_FACTOR), atMost };
  if (pages === undefined && tuples < 0) {
    return {
      kind: 'unknown',
      reason: 'the table was never analyzed, and somebody holds a lock by which nobody may look at its files',
    };
  }
  if (tuples < 0) {
    return {
      kind: 'unknown',
      reason:
        "the table was never analyzed, and the server's counters know too little of it: they were lost or reset, or are some seconds behind",
    };
  }
  // What has changed since then is not known.
  return { kind: 'estimate', rows: tuples, atLeast: 0, atMost };
}

async function count(
  session: PostgresSession,
  login: Login,
  { schema, name }: Table,
  limitMs: number,
): Promise<ExactCount> {
  const table = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
  try {
    await session.query(`SET statement_timeout = ${Math.max(1, Math.round(limitMs))}`);
    const [row] = await session.query(`SELECT count(*) AS count FROM ${table}`);
    return { kind: 'counted', rows: Number(row?.count) };
  } catch (error) {
    if (isRefusal(error, QUERY_CANCELED)) return { kind: 'too-slow' };
    if (isRefusal(error, LOCK_NOT_AVAILABLE)) return { kind: 'locked' };
    if (!isRefusal(error, INSUFFICIENT_PRIVILEGE)) throw error;
    const user = pg.escapeIdentifier(login.username);
    throw missingPrivilege(
      login.username,
      `count the rows of ${table}`,
      `GRANT USAGE ON SCHEMA ${pg.escapeIdentifier(schema)} TO ${user}; GRANT SELECT (id) ON ${table} TO ${user} (one column that says nothing is enough)`,
    );
  }
}

async function idleConnections(
  session: PostgresSession,
  login: Login,
  databases: readonly string[],
  idleSeconds: number,
): Promise<number> {
  const rows = await session.query(
    `SELECT state, state = 'idle' AND state_change < now() - $2 * interval '1 second' AS idle FROM pg_stat_activity
     WHERE datname = ANY($1) AND coalesce(backend_type, 'client backend') = 'client backend'`,
    [databases, idleSeconds],
  );
  if (rows.some(({ state }) => state === null)) {
    const user = pg.escapeIdentifier(login.username);
    throw missingPrivilege(
      login.username,
      "see what others' connections do",
      `GRANT pg_read_all_stats TO ${user} (it also shows the text of the statements that run, with what is in them)`,
    );
  }
  return rows.filter(({ idle }) => idle === true).length;
}

function isRefusal(error: unknown, code: string): boolean {
  return error instanceof StatementRefused && error.code === code;
}
