import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { MissingPrivilege, missingPrivilege, RotationRefused, StatementRefused } from '../contract/errors.ts';
import type {
  ExactCount,
  LargestTable,
  RowEstimate,
  SizeReader,
  TableBytes,
  TableSearch,
} from '../contract/sizes.ts';
import { estimate, tableNotFound } from '../sizes/questions.ts';
import { accountName } from './accounts.ts';
import { type MysqlSession, withMysql } from './session.ts';

/** What of the sizes differs between MySQL and MariaDB. */
export interface InnodbDialect {
  /** As it calls itself. */
  name: 'MySQL' | 'MariaDB';
  /** Makes ready for questions. */
  ask(session: MysqlSession): Promise<void>;
  /** A statement that the server itself ends after a time; `count` follows on SELECT. */
  countWithin(limitMs: number, count: string): string;
  /** The errors by which it tells that it did. */
  tooSlow: readonly string[];
  /** Whether single columns of performance_schema.threads can be granted, and hold what connections do. */
  idleFromThreads: boolean;
}

/**
 * How wrong InnoDB's number of rows may be. MySQL's manual says "as much as 40% to 50%" (INFORMATION_SCHEMA TABLES),
 * which is a factor of two. The number is a sample's, to which later inserts and deletes are added, so that the
 * sample's error weighs the more after many deletes, until some seconds later the server samples anew: just after
 * deleting nine in ten, a factor of 1.6 to 2.1 was measured. A server that is restarted, or a table that is altered,
 * some seconds after a bulk load falls back to the sample before it, until a tenth of the rows changes: no bound holds
 * then, and nothing shows it to a user of so few rights.
 */
const INNODB_FACTOR = 3;

/** Of InnoDB's pages by default, also the whole of an empty table or index. */
const PAGE_BYTES = 16_384;

/**
 * What a row takes at the least, by the InnoDB row format: 5 bytes of header, 6 of transaction and 7 of roll
 * pointer. More rows than fit are a sign of bytes that the server has not looked at since.
 */
const LEAST_ROW_BYTES = 18;

export function innodbSizes(address: DatabaseAddress, dialect: InnodbDialect): SizeReader {
  const connected = <T>(login: Login, work: (session: MysqlSession, server: Server) => Promise<T>) =>
    withMysql(address, login, async (session) => work(session, await prepare(session, address, dialect)));
  return {
    table: (login, search) =>
      connected(login, async (session, server) => {
        const { database, row } = await find(session, address, login, search, server);
        const rows = rowsOf(row, server);
        return { database, rows, bytes: bytesOf(row, rows) };
      }),

    count: (login, search, limitMs) =>
      connected(login, async (session, server) => {
        const { database, table } = await find(session, address, login, search, server);
        return count(session, login, dialect, { database, table, limitMs });
      }),

    largestTable: (login, databases) =>
      connected(login, (session, server) => largestTable(session, address, login, databases, server)),

    idleConnections: (login, databases, idleSeconds) =>
      connected(login, (session, server) => {
        const names = databases.map(server.nameOf);
        return dialect.idleFromThreads && server.performanceSchema
          ? idleByThreads(session, login, names, idleSeconds)
          : idleByProcessList(session, login, names, idleSeconds);
      }),
  };
}

interface Server {
  /** A database's or table's name as the server keeps it. */
  nameOf(name: string): string;
  performanceSchema: boolean;
  /** Defaults of a table's options. */
  statistics: { persistent: boolean; recalculated: boolean };
}

async function prepare(
  session: MysqlSession,
  { host, port, engine }: DatabaseAddress,
  dialect: InnodbDialect,
): Promise<Server> {
  const [row] = await session.query(
    'SELECT VERSION() AS version, @@lower_case_table_names AS lowerCase, @@performance_schema AS performanceSchema, ' +
      '@@innodb_stats_persistent AS persistent, @@innodb_stats_auto_recalc AS recalculated',
  );
  const name = /mariadb/i.test(String(row?.version)) ? 'MariaDB' : 'MySQL';
  if (name !== dialect.name) {
    // Each ignores or refuses the other's way of limiting a statement's time.
    throw new RotationRefused(
      `${host}:${port} is ${name}, but configured is ${engine}. Correct the database's engine in the configuration.`,
    );
  }
  // So that nothing waits for long, should there be a lock that even these questions wait for.
  await session.query('SET SESSION lock_wait_timeout = 1');
  await dialect.ask(session);
  return {
    nameOf: (text) => (Number(row?.lowerCase) === 0 ? text : text.toLowerCase()),
    performanceSchema: Number(row?.performanceSchema) === 1,
    statistics: {
      persistent: Number(row?.persistent) === 1,
      recalculated: Number(row?.recalculated) === 1,
    },
  };
}

interface TableRow {
  engine: unknown;
  rows: unknown;
  tableBytes: unknown;
  indexBytes: unknown;
  /** The table's own options, as it was created with. */
  options: unknown;
}

/** Finds the first of the databases that has the table. One at a time, by exact names: the server then opens only that table. */
async function find(
  session: MysqlSession,
  address: DatabaseAddress,
  login: Login,
  search: TableSearch,
  { nameOf }: Server,
): Promise<{ database: string; table: string; row: TableRow }> {
  const table = nameOf(search.table);
  const databases = search.databases.map(nameOf);
  const visible = await visibleDatabases(session, address, login, databases);
  for (const database of visible) {
    const found = await session.query(`${TABLES} AND TABLE_NAME = ?`, [database, table]);
    const row = found.find(({ schemaName, name }) => schemaName === database && name === table);
    if (row) return { database, table, row: tableRowOf(row) };
  }
  const hidden = databases.filter((database) => !visible.includes(database));
  throw tableNotFound(
    address,
    { table, databases: visible },
    hidden.length > 0
      ? `, and does not show ${login.username} ${hidden.join(', ')} (if they exist: ${grantsOf(login, hidden).join('; ')})`
      : '',
  );
}

/** Followed by further conditions; the first value is the database. */
const TABLES =
  'SELECT TABLE_SCHEMA AS schemaName, TABLE_NAME AS name, ENGINE AS engine, TABLE_ROWS AS `rows`, DATA_LENGTH AS tableBytes, ' +
  'INDEX_LENGTH AS indexBytes, CREATE_OPTIONS AS options FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?';

function tableRowOf({ engine, rows, tableBytes, indexBytes, options }: Record<string, unknown>): TableRow {
  return { engine, rows, tableBytes, indexBytes, options };
}

/** @throws MissingPrivilege */
async function visibleDatabases(
  session: MysqlSession,
  { host, port }: DatabaseAddress,
  login: Login,
  databases: readonly string[],
): Promise<string[]> {
  const shown = await session.query(
    `SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN (${databases.map(() => '?').join(', ')})`,
    [...databases],
  );
  // Compared here, for the server's own comparison may take no heed of case.
  const visible = databases.filter((database) => shown.some(({ name }) => name === database));
  if (visible.length > 0) return visible;
  throw new MissingPrivilege(
    `${host}:${port} shows ${login.username} none of the databases ${databases.join(', ')}: either there are none of these names, or ${login.username} has no right on them. ` +
      `An administrator grants one by which no row can be read: ${grantsOf(login, databases).join('; ')}`,
  );
}

async function largestTable(
  session: MysqlSession,
  address: DatabaseAddress,
  login: Login,
  names: readonly string[],
  server: Server,
): Promise<LargestTable> {
  let largest: LargestTable = { kind: 'unknown', reason: `there is no table in ${names.join(', ')}` };
  for (const database of await visibleDatabases(session, address, login, names.map(server.nameOf))) {
    const found = await session.query(`${TABLES} AND TABLE_TYPE = 'BASE TABLE'`, [database]);
    for (const row of found.filter(({ schemaName }) => schemaName === database)) {
      const table = tableRowOf(row);
      const size = bytesOf(table, rowsOf(table, server));
      if (size.kind === 'unknown')
        return { kind: 'unknown', reason: `what ${row.name} in ${database} takes: ${size.reason}` };
      const bytes = size.table + size.indexes;
      if (largest.kind === 'unknown' || bytes > largest.bytes)
        largest = { kind: 'known', database, table: String(row.name), bytes };
    }
  }
  return largest;
}

/** Unescaped, `_` and `%` would open the databases of other prefixes too. */
function grantsOf(login: Login, databases: readonly string[]): string[] {
  return databases.map(
    (database) =>
      `GRANT REFERENCES ON ${identifier(database.replaceAll(/[\\_%]/g, '\\$&'))}.* TO ${accountName(login.username)}`,
  );
}

function rowsOf({ engine, rows, tableBytes, options }: TableRow, { statistics }: Server): RowEstimate {
  if (rows === null || rows === undefined) {
    return {
      kind: 'unknown',
      reason:
        engine === null
          ? 'the server does not tell it now: the table is being changed, or cannot be opened'
          : `the server has no estimate for a table of the engine ${engine}`,
    };
  }
  if (engine !== 'InnoDB') {
    return { kind: 'unknown', reason: `how wrong the estimate of the engine ${engine} may be is not known` };
  }
  const persistent = optionOf(options, 'stats_persistent') ?? statistics.persistent;
  const recalculated = optionOf(options, 'stats_auto_recalc') ?? statistics.recalculated;
  if (persistent && !recalculated) {
    return {
      kind: 'unknown',
      reason:
        'the server does not keep the statistics of this table up to date (STATS_AUTO_RECALC is off), and forgets changes when it restarts',
    };
  }
  if (Number(rows) === 0 && Number(tableBytes) > PAGE_BYTES) {
    return {
      kind: 'unknown',
      reason: 'nearly all rows were deleted just now; the server looks at the table anew in some seconds',
    };
  }
  return estimate(Number(rows), INNODB_FACTOR, Math.floor(PAGE_BYTES / LEAST_ROW_BYTES));
}

function optionOf(options: unknown, name: string): boolean | undefined {
  const value = new RegExp(`\\b${name}=([01])\\b`, 'i').exec(String(options))?.[1];
  return value === undefined ? undefined : value === '1';
}

function bytesOf({ tableBytes, indexBytes }: TableRow, rows: RowEstimate): TableBytes {
  const table = Number(tableBytes ?? Number.NaN);
  const indexes = Number(indexBytes ?? Number.NaN);
  if (Number.isNaN(table + indexes)) return { kind: 'unknown', reason: 'the server does not tell it now' };
  if (rows.kind === 'estimate' && rows.atLeast * LEAST_ROW_BYTES > table) {
    return {
      kind: 'unknown',
      reason: 'the server has not looked at the table since many rows were put into it',
    };
  }
  return { kind: 'known', table, indexes, from: 'statistics' };
}

export async function count(
  session: MysqlSession,
  login: Login,
  dialect: InnodbDialect,
  { database, table, limitMs }: { database: string; table: string; limitMs: number },
): Promise<ExactCount> {
  const name = `${identifier(database)}.${identifier(table)}`;
  try {
    const [row] = await session.query(
      dialect.countWithin(Math.max(1, Math.round(limitMs)), `COUNT(*) AS count FROM ${name}`),
    );
    return { kind: 'counted', rows: Number(row?.count) };
  } catch (error) {
    if (isRefusal(error, ...dialect.tooSlow)) return { kind: 'too-slow' };
    if (isRefusal(error, 'ER_LOCK_WAIT_TIMEOUT')) return { kind: 'locked' };
    if (!isRefusal(error, 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR')) throw error;
    throw missingPrivilege(
      login.username,
      `count the rows of ${name}`,
      `GRANT SELECT (id) ON ${name} TO ${accountName(login.username)} (one column that says nothing is enough)`,
    );
  }
}

async function idleByThreads(
  session: MysqlSession,
  login: Login,
  databases: readonly string[],
  idleSeconds: number,
): Promise<number> {
  const columns = ['PROCESSLIST_COMMAND', 'PROCESSLIST_TIME', 'PROCESSLIST_DB'];
  try {
    const rows = await session.query(`SELECT ${columns.join(', ')} FROM performance_schema.threads`);
    return rows.filter(
      (row) =>
        row.PROCESSLIST_COMMAND === 'Sleep' &&
        Number(row.PROCESSLIST_TIME) > idleSeconds &&
        databases.includes(String(row.PROCESSLIST_DB)),
    ).length;
  } catch (error) {
    if (!isRefusal(error, 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR')) throw error;
    throw missingPrivilege(
      login.username,
      'see how long connections have been idle',
      // PROCESS would do too, but shows the text of others' statements.
      `GRANT SELECT (${columns.join(', ')}) ON performance_schema.threads TO ${accountName(login.username)}`,
    );
  }
}

async function idleByProcessList(
  session: MysqlSession,
  login: Login,
  databases: readonly string[],
  idleSeconds: number,
): Promise<number> {
  const grants = await session.query('SHOW GRANTS');
  const all = grants.flatMap((row) => Object.values(row)).join('\n');
  // Without it the list is of the own connections, and there is no error.
  if (!/\b(ALL PRIVILEGES|PROCESS)\b.* ON \*\.\*/.test(all)) {
    throw missingPrivilege(
      login.username,
      "see others' connections",
      `GRANT PROCESS ON *.* TO ${accountName(login.username)} (it also shows the text of the statements that run, with what is in them)`,
    );
  }
  const rows = await session.query(
    'SELECT COMMAND AS command, TIME AS seconds, DB AS databaseName FROM information_schema.PROCESSLIST',
  );
  return rows.filter(
    ({ command, seconds, databaseName }) =>
      command === 'Sleep' && Number(seconds) > idleSeconds && databases.includes(String(databaseName)),
  ).length;
}

export function isRefusal(error: unknown, ...codes: string[]): boolean {
  return error instanceof StatementRefused && codes.includes(error.code);
}

function identifier(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
