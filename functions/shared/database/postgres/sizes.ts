import pg from 'pg';
import type { ConnectionLimits } from '../connection.ts';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { MissingPrivilege, missingPrivilege, NotKnown } from '../contract/errors.ts';
import type {
  ExactCount,
  LargestTable,
  RowEstimate,
  SizeReader,
  TableBytes,
  TableSearch,
} from '../contract/sizes.ts';
import { countMost, type NamesakeRows, withMostRows } from '../sizes/most-rows.ts';
import { countOf, endedEarly, QUESTION_LIMIT_MS, tableNotFound } from '../sizes/questions.ts';
import { INSUFFICIENT_PRIVILEGE, LOCK_NOT_AVAILABLE, QUERY_CANCELED } from './errors.ts';
import { databasesToSearch, matchingDatabases, mayNotConnect } from './matching-databases.ts';
import { arePlain, PLANNED } from './plain-expressions.ts';
import { rowsOf, withinPages } from './row-estimates.ts';
import { type PostgresSession, withoutTimeouts, withPostgres } from './session.ts';
import {
  type Files,
  filesOf,
  findTables,
  IS_SHOWN_CHILD,
  isRefusal,
  LOCK_TIMEOUT_MS,
  type Part,
  type Table,
} from './tables.ts';

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
        await withoutTimeouts(session);
        await session.query(
          `SET lock_timeout = ${LOCK_TIMEOUT_MS}; SET statement_timeout = ${QUESTION_LIMIT_MS}; SET application_name = 'database size'`,
        );
        return work(session);
      },
      limits,
    );

  const existing = (login: Login, names: readonly string[]) =>
    connected(address, login, (session) => matchingDatabases(session, address, names));

  /** All tables of the name with their sizes, in whichever of the databases and schemas they are: the largest first. */
  const namesakes = async (login: Login, search: TableSearch): Promise<[Namesake, ...Namesake[]]> => {
    const databases = await databasesToSearch(address, login, search, existing);
    const found: Namesake[] = [];
    const other: string[] = [];
    for (const database of databases)
      await connected({ ...address, database }, login, async (session) => {
        const { tables, views } = await findTables(session, search.table);
        for (const table of tables) found.push(await namesakeOf(session, table, database));
        other.push(...views.map((view) => `${view} of ${database}`));
      });
    const [largest, ...smaller] = found.sort((a, b) => b.table.totalBytes - a.table.totalBytes);
    if (largest) return [largest, ...smaller];
    throw tableNotFound(
      address,
      { table: search.table, databases },
      other.length > 0 ? `, but ${other.join(' and ')}, of which no size is told` : '',
    );
  };
  const countOne = (login: Login, { table, database }: Namesake, limitMs: number) =>
    connected({ ...address, database }, login, (session) => count(session, table, limitMs, limits.answerMs));
  return {
    table: async (login, search) => {
      const { table: told, others, rows } = withMostRows(await namesakes(login, search));
      return {
        database: told.database,
        ...(others.length > 0 && {
          others: others.map(({ table, database }) => `${database}.${table.schema}`),
        }),
        rows,
        bytes: told.bytes,
      };
    },
    count: async (login, search, limitMs) =>
      countMost(await namesakes(login, search), limitMs, (one, restMs) => countOne(login, one, restMs)),
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
          names.map(({ name }) => name),
          idleSeconds,
        );
      }),
  };
}

const UNCOUNTED: RowEstimate = {
  kind: 'unknown',
  reason:
    'the server is told not to count what changes (track_counts is off, for all or for a role: ALTER DATABASE or ALTER ROLE … RESET track_counts, then ANALYZE)',
};

const ELSEWHERE = {
  kind: 'unknown' as const,
  reason: 'parts of it are foreign tables, on another server',
};

/** A table of the name that is looked for. */
interface Namesake extends NamesakeRows {
  table: Table;
  database: string;
  bytes: TableBytes;
}

/** What a row takes of a page at the least: its header and the pointer to it. */
const LEAST_ROW_BYTES = 28;

async function namesakeOf(session: PostgresSession, table: Table, database: string): Promise<Namesake> {
  if (table.isElsewhere) return { table, database, rows: ELSEWHERE, bytes: ELSEWHERE, filesHold: undefined };
  const files = await filesOf(session, table.parts);
  const sizes = table.parts.map((part) => sizeOfPart(part, files.get(part.oid)));
  const bytes = sumOfBytes(sizes.map((size) => size.bytes));
  const isTold = bytes.kind === 'known' && bytes.from === 'files';
  return {
    table,
    database,
    rows: table.isUncounted ? UNCOUNTED : sumOfRows(sizes.map(({ rows }) => rows)),
    bytes,
    filesHold: isTold ? Math.floor(bytes.table / LEAST_ROW_BYTES) : undefined,
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

const ON_PRIMARY_ONLY = {
  kind: 'unknown' as const,
  reason: 'the server is a standby, which has nothing of an unlogged table: ask its primary',
};

function sizeOfPart(part: Part, files: Files | undefined): { rows: RowEstimate; bytes: TableBytes } {
  if (part.isOnPrimaryOnly) return { rows: ON_PRIMARY_ONLY, bytes: ON_PRIMARY_ONLY };
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

/** Undefined: the database has no table. */
async function largestTable(session: PostgresSession, database: string): Promise<LargestTable | undefined> {
  try {
    const rows = await session.query(
      `WITH RECURSIVE tree AS (
         SELECT c.oid, c.oid AS root FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'm', 'f') AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND ${IS_SHOWN_CHILD})
           AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_temp%'
         UNION SELECT i.inhrelid, t.root FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid AND ${IS_SHOWN_CHILD}
       )
       SELECT (SELECT relname FROM pg_class WHERE oid = t.root) AS name, sum(coalesce(pg_total_relation_size(t.oid), 0)) AS bytes,
         max(c.relname::text) FILTER (WHERE c.relpersistence = 'u' AND c.relkind IN ('r', 'm') AND pg_is_in_recovery()) AS elsewhere
       FROM tree t JOIN pg_class c ON c.oid = t.oid GROUP BY t.root HAVING bool_or(c.relkind <> 'f') ORDER BY 3 NULLS LAST, 2 DESC LIMIT 1`,
    );
    const [row] = rows;
    if (row?.elsewhere)
      return {
        kind: 'unknown',
        reason: `what ${row.elsewhere} in ${database} takes: ${ON_PRIMARY_ONLY.reason}`,
      };
    return row && { kind: 'known', database, table: String(row.name), bytes: Number(row.bytes) };
  } catch (error) {
    if (!isRefusal(error, LOCK_NOT_AVAILABLE)) throw error;
    return {
      kind: 'unknown',
      reason: `somebody holds a lock on a table of ${database} by which nobody may look`,
    };
  }
}

/** A part of a table for which its owner could have the counting user run code; none of its own, nor of a superuser's. */
const FOREIGN_CODE = `
  WITH RECURSIVE tree AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE n.nspname = $1 AND c.relname = $2
    UNION SELECT inhrelid FROM tree JOIN pg_inherits ON inhparent = tree.oid)
  SELECT tree.oid::regclass AS part, o.rolname AS owner FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_roles o ON o.oid = relowner
   WHERE NOT o.rolsuper AND o.rolname <> current_user AND NOT ${arePlain(PLANNED('c.oid'))} LIMIT 1`;

/** Whose rights a session has: another's than its login's where the role is told to become that (`ALTER ROLE … SET role`). */
async function actingUser(session: PostgresSession): Promise<string> {
  const [row] = await session.query('SELECT current_user::text AS name');
  return String(row?.name);
}

async function count(
  session: PostgresSession,
  { schema, name, parts, isElsewhere }: Table,
  limitMs: number,
  answerMs: number,
): Promise<ExactCount> {
  const table = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
  const username = await actingUser(session);
  if (parts.some(({ isOnPrimaryOnly }) => isOnPrimaryOnly))
    throw new NotKnown(`The rows of ${table} are not counted: ${ON_PRIMARY_ONLY.reason}.`);
  // Whose policies the other server would have hide rows, without a word of it.
  if (isElsewhere) throw new NotKnown(`The rows of ${table} are not counted: ${ELSEWHERE.reason}.`);
  const [other] = await session.query(FOREIGN_CODE, [schema, name]);
  if (other !== undefined) {
    throw new MissingPrivilege(
      `The rows of ${table} are not counted by ${username}: an index or a constraint of ${other.part} calls functions, which the server would run with its rights, and the owner of that is ${other.owner}. ` +
        `Let ${other.owner} itself count (its login in place of ${username}), or do without that index or constraint.`,
    );
  }
  const begun = performance.now();
  try {
    await session.query(`SET statement_timeout = ${Math.max(1, Math.round(limitMs))}`);
    const [row] = await session.query(
      `SELECT count(*) AS count FROM ${table}`,
      undefined,
      limitMs + answerMs,
    );
    return { kind: 'counted', rows: countOf(row) };
  } catch (error) {
    if (isRefusal(error, QUERY_CANCELED)) return endedEarly(performance.now() - begun, limitMs);
    if (isRefusal(error, LOCK_NOT_AVAILABLE)) return { kind: 'locked' };
    if (!isRefusal(error, INSUFFICIENT_PRIVILEGE)) throw error;
    throw await whatLacks(session, { schema, name }, username);
  }
}

/** Which of the rights that a count needs its user has not. */
async function whatLacks(
  session: PostgresSession,
  { schema, name }: Pick<Table, 'schema' | 'name'>,
  username: string,
): Promise<MissingPrivilege> {
  const table = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
  const user = pg.escapeIdentifier(username);
  // The count's own may be shorter than this takes.
  await session.query(`SET statement_timeout = ${QUESTION_LIMIT_MS}`);
  const [has] = await session.query(
    `SELECT has_schema_privilege(n.oid, 'USAGE') AS entered, has_any_column_privilege(c.oid, 'SELECT') AS readable, row_security_active(c.oid) AS policies,
       (SELECT attname FROM pg_attribute a WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
         ORDER BY attname = 'id' DESC, EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary AND attnum = indkey[0]) DESC, attnum LIMIT 1) AS column
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, name],
  );
  const grants = [
    ...(has?.entered === false ? [`GRANT USAGE ON SCHEMA ${pg.escapeIdentifier(schema)} TO ${user}`] : []),
    ...(has?.readable === false
      ? [`GRANT SELECT (${pg.escapeIdentifier(String(has.column))}) ON ${table} TO ${user}`]
      : []),
    ...(has?.policies === true ? [`ALTER ROLE ${user} BYPASSRLS`] : []),
  ];
  const policies =
    has?.policies === true ? ', of which policies (row-level security) show it a part only,' : '';
  const enough = has?.readable === false ? ' (any one column is enough)' : '';
  return missingPrivilege(username, `count the rows of ${table}${policies}`, `${grants.join('; ')}${enough}`);
}

async function idleConnections(
  session: PostgresSession,
  databases: readonly string[],
  idleSeconds: number,
): Promise<number> {
  const rows = await session.query(
    `SELECT state, state = 'idle' AND state_change < now() - $2 * interval '1 second' AS idle FROM pg_stat_activity
     WHERE datname = ANY($1) AND coalesce(backend_type, 'client backend') = 'client backend'`,
    [databases, idleSeconds],
  );
  if (rows.some(({ state }) => state === null)) {
    const username = await actingUser(session);
    const user = pg.escapeIdentifier(username);
    throw missingPrivilege(
      username,
      "see what others' connections do",
      `GRANT pg_read_all_stats TO ${user} (it also shows the text of the statements that run, with what is in them)`,
    );
  }
  if (rows.some(({ state }) => state === 'disabled')) {
    throw new NotKnown(
      'How long connections have been idle is unknown: the server does not note what some of them do (track_activities is off, for all or for a role: ALTER ROLE … RESET track_activities, and new connections).',
    );
  }
  return rows.filter(({ idle }) => idle === true).length;
}
