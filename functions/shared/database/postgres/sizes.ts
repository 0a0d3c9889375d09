import pg from 'pg';
import type { ConnectionLimits } from '../connection.ts';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { MissingPrivilege, missingPrivilege } from '../contract/errors.ts';
import type {
  ExactCount,
  LargestTable,
  RowEstimate,
  SizeReader,
  TableBytes,
  TableSearch,
  TableSize,
} from '../contract/sizes.ts';
import { countOf, estimate, QUESTION_LIMIT_MS, tableNotFound } from '../sizes/questions.ts';
import { INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, QUERY_CANCELED } from './errors.ts';
import { databasesToSearch, matchingDatabases, mayNotConnect } from './matching-databases.ts';
import { arePlain, PLANNED } from './plain-expressions.ts';
import { type PostgresSession, withPostgres } from './session.ts';
import { filesOf, findTables, isRefusal, type Part, type Table } from './tables.ts';

/** Sizes on PostgreSQL 12 and later, and Aurora PostgreSQL. */
export function postgresSizes(address: DatabaseAddress, limits: ConnectionLimits): SizeReader {
  const connected = <T>(
    to: DatabaseAddress,
    login: Login,
    work: (session: PostgresSession) => Promise<T>,
  ): Promise<T> =>
    withPostgres(
      to,
      login,
      async (session) => {
        await session.query(
          `SET lock_timeout = ${LOCK_TIMEOUT_MS}; SET statement_timeout = ${QUESTION_LIMIT_MS}; SET application_name = 'database size'`,
        );
        return work(session);
      },
      limits,
    );

  const existing = (login: Login, names: readonly string[]) =>
    connected(address, login, (session) => matchingDatabases(session, address, names));

  /** Does the work with the largest table of the name, in whichever of the databases and schemas it is. */
  const inTable = async <T>(
    login: Login,
    search: TableSearch,
    work: (session: PostgresSession, table: Table, database: string, others: string[]) => Promise<T>,
  ): Promise<T> => {
    const databases = await databasesToSearch(address, login, search, existing);
    const found: { table: Table; database: string }[] = [];
    const other: string[] = [];
    for (const database of databases)
      await connected({ ...address, database }, login, async (session) => {
        const { tables, views } = await findTables(session, search.table);
        found.push(...tables.map((table) => ({ table, database })));
        other.push(...views.map((view) => `${view} of ${database}`));
      });
    const [largest, ...smaller] = found.sort((a, b) => b.table.totalBytes - a.table.totalBytes);
    if (!largest) {
      throw tableNotFound(
        address,
        { table: search.table, databases },
        other.length > 0 ? `, but ${other.join(' and ')}, of which no size is told` : '',
      );
    }
    const others = smaller.map(({ table, database }) => `${database}.${table.schema}`);
    const { table, database } = largest;
    return connected({ ...address, database }, login, (session) => work(session, table, database, others));
  };
  return {
    table: (login, search) => inTable(login, search, sizeOf),
    count: (login, search, limitMs) =>
      inTable(login, search, (session, table) => count(session, login, table, limitMs, limits.answerMs)),
    largestTable: async (login, databases) => {
      let largest: LargestTable = { kind: 'unknown', reason: `there is no table in ${databases.join(', ')}` };
      for (const { name, mayConnect } of await existing(login, databases)) {
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

/**
 * By how many rows, for each time that a table has as many pages as ANALYZE reads, a sample of uneven pages (nearly all empty after a
 * large delete, the rest full) may be wrong beyond {@link COUNTERS_FACTOR}: of R rows on full pages three standard deviations are
 * 3√(R · pages / sample · 291), which is no more than (factor - 1) · R and this.
 */
const UNEVEN_ROWS = (9 * MOST_ROWS_PER_PAGE) / (4 * (COUNTERS_FACTOR - 1));

/** How long to wait for a lock on the table: under an upgrade of the schema or VACUUM FULL it can take hours. */
const LOCK_TIMEOUT_MS = 100;

const UNCOUNTED: RowEstimate = {
  kind: 'unknown',
  reason:
    'the server is told not to count what changes (track_counts is off, for all or for a role: ALTER DATABASE or ALTER ROLE … RESET track_counts, then ANALYZE)',
};

async function sizeOf(
  session: PostgresSession,
  table: Table,
  database: string,
  others: string[],
): Promise<TableSize> {
  if (table.isElsewhere) {
    const elsewhere = {
      kind: 'unknown' as const,
      reason: 'parts of it are foreign tables, on another server',
    };
    return { database, rows: elsewhere, bytes: elsewhere };
  }
  const sizes = [];
  for (const part of table.parts) sizes.push(await sizeOfPart(session, part));
  return {
    database,
    ...(others.length > 0 && { others }),
    rows: table.isUncounted ? UNCOUNTED : sumOfRows(sizes.map(({ rows }) => rows)),
    bytes: sumOfBytes(sizes.map(({ bytes }) => bytes)),
  };
}

function sumOfRows(parts: readonly RowEstimate[]): RowEstimate {
  const sum = { kind: 'estimate' as const, rows: 0, atLeast: 0, atMost: 0 };
  for (const part of parts) {
    if (part.kind === 'unknown') return part;
    sum.rows += part.rows;
    sum.atLeast += part.atLeast;
    sum.atMost += part.atMost;
  }
  return sum;
}

function sumOfBytes(parts: readonly TableBytes[]): TableBytes {
  const sum = { kind: 'known' as const, table: 0, indexes: 0 };
  for (const part of parts) {
    if (part.kind === 'unknown') return part;
    sum.table += part.table;
    sum.indexes += part.indexes;
  }
  const isOfFiles = parts.every((part) => part.kind === 'known' && part.from === 'files');
  return { ...sum, from: isOfFiles ? 'files' : 'statistics' };
}

async function sizeOfPart(
  session: PostgresSession,
  part: Part,
): Promise<{ rows: RowEstimate; bytes: TableBytes }> {
  const files = await filesOf(session, part);
  const bytes: TableBytes = files
    ? { kind: 'known', table: files.tableBytes, indexes: files.indexBytes, from: 'files' }
    : part.pages > 0
      ? { kind: 'known', table: part.tableBytes, indexes: part.indexBytes, from: 'statistics' }
      : {
          kind: 'unknown',
          reason: 'somebody holds a lock by which nobody may look, and nothing is known from before',
        };
  const known = rowsOf(part, files?.pages);
  return { rows: files ? withinPages(known, files.pages) : known, bytes };
}

/** More rows than the pages can hold are not there, whatever the counters say, which are some seconds behind. */
function withinPages(known: RowEstimate, pages: number): RowEstimate {
  const most = pages * MOST_ROWS_PER_PAGE;
  if (pages === 0) return { kind: 'estimate', rows: 0, atLeast: 0, atMost: 0 };
  if (known.kind === 'unknown' || known.rows <= most) return known;
  return { ...known, rows: most, atLeast: 0, atMost: most };
}

/** Undefined: the database has no table. */
async function largestTable(session: PostgresSession, database: string): Promise<LargestTable | undefined> {
  try {
    const rows = await session.query(
      `WITH RECURSIVE tree AS (
         SELECT c.oid, c.oid AS root FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'm') AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
           AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_temp%'
         UNION SELECT i.inhrelid, t.root FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid
       )
       SELECT (SELECT relname FROM pg_class WHERE oid = t.root) AS name, sum(coalesce(pg_total_relation_size(t.oid), 0)) AS bytes
       FROM tree t GROUP BY t.root ORDER BY bytes DESC LIMIT 1`,
    );
    const [row] = rows;
    return row && { kind: 'known', database, table: String(row.name), bytes: Number(row.bytes) };
  } catch (error) {
    if (!isRefusal(error, LOCK_NOT_AVAILABLE)) throw error;
    return {
      kind: 'unknown',
      reason: `somebody holds a lock on a table of ${database} by which nobody may look`,
    };
  }
}

function rowsOf(part: Part, pages: number | undefined): RowEstimate {
  const { tuples, pages: pagesThen, live, inserted, counted, samplePages } = part;
  if (counted) {
    const share = (pages ?? pagesThen) / samplePages;
    // All pages of a smaller table are read.
    const few = MOST_ROWS_PER_PAGE + (share > 1 ? Math.ceil(UNEVEN_ROWS * share) : 0);
    const known = withCountedTwice(estimate(live, COUNTERS_FACTOR, few), part, pages, few);
    if (known.kind === 'unknown' || pages === undefined || pages <= pagesThen) return known;
    // The files have grown, perhaps as the counters do not know: rows were loaded while they were off (track_counts), or updated.
    const hasDensity = tuples > 0 && pagesThen > 0;
    const byPages = hasDensity ? (tuples / pagesThen) * pages * COUNTERS_FACTOR : pages * MOST_ROWS_PER_PAGE;
    const explained = !hasDensity && live >= LEAST_ROWS_PER_PAGE * (pages - 1);
    return explained ? known : { ...known, atMost: Math.max(known.atMost, Math.ceil(byPages)) };
  }
  // Nothing has set the counters right yet, so that a page's limit alone tells what they may have missed.
  const atMost = (pages ?? pagesThen) * MOST_ROWS_PER_PAGE;
  // Nor are they complete where they know of fewer rows than the catalog does: they were lost in between.
  const complete = pages !== undefined && inserted >= LEAST_ROWS_PER_PAGE * (pages - 1) && inserted >= tuples;
  if (complete) {
    // Deletes that were written before the inserts, of another session, have left the counter at 0, and are forgotten.
    const least = Math.max(0, Math.min(live, inserted - part.deleted));
    return { kind: 'estimate', rows: live, atLeast: Math.floor(least / COUNTERS_FACTOR), atMost };
  }
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
  // What has changed since then is not known, but for what the counters have seen.
  const rows = Math.max(tuples, live);
  return { kind: 'estimate', rows, atLeast: 0, atMost: Math.max(atMost, rows) };
}

/**
 * What a session has changed it adds to the counters some seconds later, also where its own VACUUM or ANALYZE has seen that
 * already: an import with ANALYZE at its end doubles the rows, and a purge with VACUUM at its end leaves none. So the range has what may
 * have been counted twice: of the rows that were inserted and deleted since that look, as far as the counters and the pages allow.
 */
function withCountedTwice(
  known: RowEstimate,
  part: Part,
  pages: number | undefined,
  few: number,
): RowEstimate {
  const { pages: pagesThen, live, countedByHand, changed } = part;
  if (known.kind === 'unknown' || !countedByHand) return known;
  // Not on record since the table was written anew.
  const seen = part.tuples < 0 ? undefined : part.tuples;
  const inserted = Math.min(part.inserted, changed);
  // With what was inserted it is no more than all changes, and they differ by what the number has changed by.
  const deleted = Math.min(
    part.deleted,
    changed,
    seen === undefined ? changed : Math.max(0, (changed - live + seen) / 2),
  );
  // What lies in pages that the look did not see came after it.
  const newPages = Math.max(0, (pages ?? pagesThen) - pagesThen);
  const later = pagesThen > 0 && seen !== undefined ? (newPages * seen) / pagesThen / COUNTERS_FACTOR : 0;
  const ofLook = seen === undefined ? changed : seen * COUNTERS_FACTOR;
  const insertedTwice = Math.max(0, Math.min(inserted - later, ofLook));
  return {
    ...known,
    atLeast: Math.max(0, Math.min(known.atLeast, Math.floor((live - insertedTwice) / COUNTERS_FACTOR) - few)),
    atMost: Math.max(known.atMost, Math.ceil((live + deleted) * COUNTERS_FACTOR) + few),
  };
}

/** A part of a table for which its owner could have the counting user run code; none of its own, nor of a superuser's. */
const FOREIGN_CODE = `
  WITH RECURSIVE tree AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE n.nspname = $1 AND c.relname = $2
    UNION SELECT inhrelid FROM tree JOIN pg_inherits ON inhparent = tree.oid)
  SELECT tree.oid::regclass AS part, o.rolname AS owner FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_roles o ON o.oid = relowner
   WHERE NOT o.rolsuper AND o.rolname <> current_user AND NOT ${arePlain(PLANNED('c.oid'))} LIMIT 1`;

async function count(
  session: PostgresSession,
  login: Login,
  { schema, name }: Table,
  limitMs: number,
  answerMs: number,
): Promise<ExactCount> {
  const table = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
  const user = pg.escapeIdentifier(login.username);
  const [other] = await session.query(FOREIGN_CODE, [schema, name]);
  if (other !== undefined) {
    throw new MissingPrivilege(
      `The rows of ${table} are not counted by ${login.username}: an index or a constraint of ${other.part} calls functions, which the server would run with its rights, and the owner of that is ${other.owner}. ` +
        `Let ${other.owner} itself count (its login in place of ${login.username}), or do without that index or constraint.`,
    );
  }
  try {
    await session.query(`SET statement_timeout = ${Math.max(1, Math.round(limitMs))}`);
    const [row] = await session.query(
      `SELECT count(*) AS count FROM ${table}`,
      undefined,
      limitMs + answerMs,
    );
    return { kind: 'counted', rows: countOf(row) };
  } catch (error) {
    if (isRefusal(error, QUERY_CANCELED)) return { kind: 'too-slow' };
    if (isRefusal(error, LOCK_NOT_AVAILABLE)) return { kind: 'locked' };
    if (!isRefusal(error, INSUFFICIENT_PRIVILEGE)) throw error;
    const [policies] = await session.query(
      "SELECT bool_or(row_security_active(c.oid)) AS active FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2 AND has_any_column_privilege(c.oid, 'SELECT')",
      [schema, name],
    );
    if (policies?.active === true)
      throw missingPrivilege(
        login.username,
        `count the rows of ${table}, of which policies (row-level security) show it a part only,`,
        `ALTER ROLE ${user} BYPASSRLS`,
      );
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
