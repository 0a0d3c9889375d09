import type { ConnectionLimits } from '../connection.ts';
import type { DatabaseAddress, Login } from '../contract/engine.ts';
import { missingPrivilege, TableNotFound } from '../contract/errors.ts';
import type { ExactCount, LargestTable, SizeReader, TableBytes, TableSearch } from '../contract/sizes.ts';
import { countMost, type NamesakeRows, withMostRows } from '../sizes/most-rows.ts';
import { countOf, endedEarly, tableNotFound } from '../sizes/questions.ts';
import { heldAgainst, openRows } from './held-against.ts';
import { idleByProcessList, idleByThreads } from './idle-connections.ts';
import {
  hasProcess,
  type InnodbDialect,
  identifier,
  isRefusal,
  prepare,
  type Server,
} from './innodb-server.ts';
import { lastSample } from './last-sample.ts';
import { type MysqlSession, withMysql } from './session.ts';
import {
  byEntries,
  bytesOf,
  type FoundTable,
  LEAST_ROW_BYTES,
  LOST_FILE,
  missesEntries,
  rowsOf,
  type TableRow,
} from './table-estimates.ts';
import { filesOf } from './table-files.ts';
import { grantsOf, hiddenDatabases, hiddenRows, visibleDatabases } from './visible-databases.ts';

export function innodbSizes(
  address: DatabaseAddress,
  dialect: InnodbDialect,
  limits: ConnectionLimits,
): SizeReader {
  const connected = <T>(login: Login, work: (session: MysqlSession, server: Server) => Promise<T>) =>
    withMysql(
      address,
      login,
      async (session) => work(session, await prepare(session, address, dialect)),
      limits,
    );
  return {
    table: (login, search) =>
      connected(login, async (session, server) => {
        const { found, hidden } = await find(session, address, login, search, server);
        const { table, others, rows } = withMostRows(await namesakes(session, found, server));
        return {
          database: table.found.database,
          ...(others.length > 0 && { others: others.map((other) => other.found.database) }),
          rows: hidden.length > 0 ? hiddenRows(login, hidden, server) : rows,
          bytes: table.bytes,
        };
      }),

    count: (login, search, limitMs) =>
      connected(login, async (session, server) => {
        const { found, hidden } = await find(session, address, login, search, server);
        if (hidden.length > 0) throw hiddenDatabases(address, login, hidden, server);
        return countMost(await namesakes(session, found, server), limitMs, ({ found: one }, restMs) =>
          count(session, login, server, dialect, {
            database: one.database,
            table: one.table,
            limitMs: restMs,
            answerMs: limits.answerMs,
          }),
        );
      }),

    largestTable: (login, databases) =>
      connected(login, (session, server) =>
        largestTable(session, login, databases.map(server.nameOf), server),
      ),

    idleConnections: (login, databases, idleSeconds) =>
      connected(login, (session, server) => {
        const names = databases.map(server.nameOf);
        return dialect.idleFromThreads && server.performanceSchema
          ? idleByThreads(session, login, server, names, idleSeconds)
          : idleByProcessList(session, login, server, names, idleSeconds);
      }),
  };
}

/**
 * Finds the table in all of the databases. One at a time, by exact names: the server then opens only that table.
 * `hidden`: databases of which the server does not show whether they exist.
 * @throws TableNotFound, MissingPrivilege
 */
async function find(
  session: MysqlSession,
  address: DatabaseAddress,
  login: Login,
  search: TableSearch,
  server: Server,
): Promise<{ found: [FoundTable, ...FoundTable[]]; hidden: string[] }> {
  const table = server.nameOf(search.table);
  const databases = search.databases.map(server.nameOf);
  const { visible, hidden, withoutTables } = await visibleDatabases(session, databases, server);
  const all: FoundTable[] = [];
  const views: string[] = [];
  for (const database of visible) {
    // First, so that a sample that is made in between is not taken for the one before it, nor what is rolled back in between for
    // what is there: the error is the larger one's then.
    const sample = await lastSample(session, database, table);
    const open = await openRows(session, server);
    const found = await session.query(`${TABLES} AND TABLE_NAME = ?`, [database, table]);
    const row = found.find(({ schemaName, name }) => schemaName === database && name === table);
    if (!row) {
      if (withoutTables.includes(database)) hidden.push(database);
      continue;
    }
    const isLost = await hasLostFile(session, row);
    if (/(VIEW|SEQUENCE)$/.test(String(row.type))) {
      views.push(`${/VIEW$/.test(String(row.type)) ? 'a view' : 'a sequence'} in ${database}`);
      continue;
    }
    const files = await filesOf(session, database, server);
    const known = {
      database,
      table,
      row: { ...tableRowOf(row), parts: await partsOf(session, row), isLost },
      fileBytes: files.kind === 'known' ? files.sizes.get(table) : undefined,
      fullTextBytes: files.kind === 'known' ? (files.fullText.get(table) ?? 0) : 0,
      sample,
      openRows: open,
    };
    all.push((await mayGoByEntries(session, known)) ? byEntries(known) : known);
  }
  const [largest, ...others] = all.sort((a, b) => sizeOf(b) - sizeOf(a));
  if (largest) return { found: [largest, ...others], hidden };
  const seen = visible.filter((database) => !hidden.includes(database));
  if (hidden.length > 0 && seen.length === 0) throw hiddenDatabases(address, login, hidden, server);
  throw tableNotFound(
    address,
    { table, databases: seen.length > 0 ? seen : databases },
    `${views.length > 0 ? `, but ${views.join(' and ')}, of which no size is told` : ''}${
      hidden.length > 0
        ? `, and does not show ${login.username} ${hidden.join(', ')} (if they exist: ${grantsOf(server, hidden).join('; ')})`
        : ''
    }`,
  );
}

/**
 * Whether a table of InnoDB is there without its data, of which the server tells an earlier size or none: MySQL warns of it as it is
 * asked (ER_CANT_GET_STAT), and MariaDB tells fewer bytes than the page that an empty table has. To be asked right after the row.
 */
async function hasLostFile(
  session: MysqlSession,
  { engine, tableBytes }: Record<string, unknown>,
): Promise<boolean> {
  const warnings = await session.query('SHOW WARNINGS');
  const [all] = await session.query('SHOW COUNT(*) WARNINGS');
  // Where the server keeps none of them (max_error_count, which a session may not raise) it counts them still.
  const isUntold = warnings.length === 0 && Object.values(all ?? {}).some((count) => Number(count) > 0);
  const isWarned = isUntold || warnings.some(({ Code }) => Number(Code) === 1013);
  return engine === 'InnoDB' && (isWarned || Number(tableBytes) === 0);
}

/** Whether its rows are known by the entries of an index: these are far more, and none of its indexes has several of a row (of a JSON array). */
async function mayGoByEntries(session: MysqlSession, found: FoundTable): Promise<boolean> {
  if (!missesEntries(found)) return false;
  const columns = await session.query(
    'SELECT DATA_TYPE AS type FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
    [found.database, found.table],
  );
  return columns.length > 0 && columns.every(({ type }) => String(type).toLowerCase() !== 'json');
}

/** How many partitions and parts of these a table has; 1 of one that has none. */
async function partsOf(
  session: MysqlSession,
  { schemaName, name, options }: Record<string, unknown>,
): Promise<number> {
  if (!/partitioned/i.test(String(options))) return 1;
  const [row] = await session.query(
    'SELECT COUNT(*) AS parts FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
    [schemaName, name],
  );
  return Math.max(1, Number(row?.parts));
}

/** By statistics, which may be of before it was filled, it takes what its rows take at the least. */
function sizeOf({ row, fileBytes }: FoundTable): number {
  const sampled = Number(row.tableBytes ?? 0) + Number(row.indexBytes ?? 0);
  return fileBytes ?? Math.max(sampled, Number(row.rows ?? 0) * LEAST_ROW_BYTES);
}

/** A table of the name that is looked for. */
interface Namesake extends NamesakeRows {
  found: FoundTable;
  bytes: TableBytes;
}

/** With what each has; but not those whose data is gone, unless there is no other. */
async function namesakes(
  session: MysqlSession,
  [largest, ...others]: readonly [FoundTable, ...FoundTable[]],
  server: Server,
): Promise<[Namesake, ...Namesake[]]> {
  const namesakeOf = async (found: FoundTable): Promise<Namesake> => {
    const known = rowsOf(found, server);
    const rows = await heldAgainst(session, found, known, server);
    const bytes = bytesOf(found.row, found.fileBytes, known);
    const filesHold =
      found.fileBytes === undefined ? undefined : Math.floor(found.fileBytes / LEAST_ROW_BYTES);
    return { found, rows, bytes, filesHold };
  };
  const smaller: Namesake[] = [];
  for (const other of others) if (!other.row.isLost) smaller.push(await namesakeOf(other));
  return [await namesakeOf(largest), ...smaller];
}

/** Followed by further conditions; the first value is the database. */
const TABLES =
  'SELECT TABLE_SCHEMA AS schemaName, TABLE_NAME AS name, TABLE_TYPE AS type, ENGINE AS engine, TABLE_ROWS AS `rows`, DATA_LENGTH AS tableBytes, ' +
  'INDEX_LENGTH AS indexBytes, DATA_FREE AS freeBytes, CREATE_OPTIONS AS options, ROW_FORMAT AS format, UNIX_TIMESTAMP(CREATE_TIME) AS madeAt FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?';

function tableRowOf({
  type,
  engine,
  rows,
  tableBytes,
  indexBytes,
  freeBytes,
  options,
  format,
  madeAt,
}: Record<string, unknown>): Omit<TableRow, 'parts' | 'isLost'> {
  return { type, engine, rows, tableBytes, indexBytes, freeBytes, options, format, madeAt };
}

async function largestTable(
  session: MysqlSession,
  login: Login,
  names: readonly string[],
  server: Server,
): Promise<LargestTable> {
  if (!hasProcess(server.grants))
    return {
      kind: 'unknown',
      reason: `the server shows what files take only to who has PROCESS, and its statistics miss what was not looked at since: GRANT PROCESS ON *.* TO ${server.account} (it also shows the text of the statements that run, with what is in them)`,
    };
  let largest: LargestTable = { kind: 'unknown', reason: `there is no table in ${names.join(', ')}` };
  const { visible, hidden } = await visibleDatabases(session, names, server);
  for (const database of names) {
    // First, for MariaDB knows the files of tables only that it has opened.
    const tables = visible.includes(database)
      ? await session.query(`${TABLES} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')`, [database])
      : [];
    // Also of what else is hidden from the user.
    const files = await filesOf(session, database, server);
    if (files.kind === 'unknown')
      return { kind: 'unknown', reason: `what the files of ${database} take: ${files.reason}` };
    const { sizes, elsewhere } = files;
    for (const [table, bytes] of sizes)
      if (largest.kind === 'unknown' || bytes > largest.bytes)
        largest = { kind: 'known', database, table, bytes };
    if (sizes.size === 0 && hidden.includes(database))
      return {
        kind: 'unknown',
        reason: `the server does not show ${login.username} ${database}, and no file of it (if it exists: ${grantsOf(server, [database]).join('; ')})`,
      };
    const withoutFile = tables.find(
      ({ schemaName, name, engine }) =>
        schemaName === database && engine !== null && !sizes.has(String(name)),
    );
    if (withoutFile)
      return {
        kind: 'unknown',
        reason: `what ${withoutFile.name} in ${database} takes: the server tells of no file of its own (engine ${withoutFile.engine}; a tablespace that it shares, or one that is discarded or missing)`,
      };
    // Of which the user is shown nothing else.
    const [hiddenOne] = elsewhere;
    if (hiddenOne !== undefined)
      return {
        kind: 'unknown',
        reason: `what ${hiddenOne} in ${database} takes: the server tells of no file of its own (a tablespace that it shares, or one that was not opened since the server's start), and does not show it to ${login.username}: ${grantsOf(server, [database]).join('; ')}`,
      };
  }
  return largest;
}

async function count(
  session: MysqlSession,
  login: Login,
  { account }: Server,
  dialect: InnodbDialect,
  {
    database,
    table,
    limitMs,
    answerMs,
  }: { database: string; table: string; limitMs: number; answerMs: number },
): Promise<ExactCount> {
  const name = `${identifier(database)}.${identifier(table)}`;
  const begun = performance.now();
  try {
    const [row] = await session.query(
      dialect.countWithin(Math.max(1, Math.round(limitMs)), `COUNT(*) AS count FROM ${name}`),
      [],
      limitMs + answerMs,
    );
    return { kind: 'counted', rows: countOf(row) };
  } catch (error) {
    if (isRefusal(error, ...dialect.tooSlow, 'ER_QUERY_INTERRUPTED'))
      return endedEarly(performance.now() - begun, limitMs);
    if (isRefusal(error, 'ER_LOCK_WAIT_TIMEOUT')) return { kind: 'locked' };
    if (isRefusal(error, 'ER_TABLESPACE_DISCARDED', 'ER_TABLESPACE_MISSING'))
      throw new TableNotFound(`The rows of ${name} cannot be counted: ${LOST_FILE}.`);
    if (!isRefusal(error, 'ER_TABLEACCESS_DENIED_ERROR', 'ER_COLUMNACCESS_DENIED_ERROR')) throw error;
    // Without a right on the table no column is shown.
    const columns = await session.query(
      'SELECT COLUMN_NAME AS name FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ' +
        "ORDER BY COLUMN_NAME = 'id' DESC, COLUMN_KEY = 'PRI' DESC, ORDINAL_POSITION LIMIT 1",
      [database, table],
    );
    throw missingPrivilege(
      login.username,
      `count the rows of ${name}`,
      `GRANT SELECT (${identifier(String(columns[0]?.name ?? 'id'))}) ON ${name} TO ${account} (any one column is enough)`,
    );
  }
}
