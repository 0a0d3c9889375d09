import type { ConnectionLimits } from '../connection.ts';
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
import { countOf, estimate, tableNotFound } from '../sizes/questions.ts';
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
  /** Of information_schema, for who has PROCESS: names and sizes of the files, names and ids of the tables. */
  files: { tablespaces: string; tables: string };
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

/** How few pages a sample may have: the default of persistent statistics (innodb_stats_persistent_sample_pages). */
const LEAST_SAMPLE_PAGES = 20;

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
        const { largest, others, hidden } = await find(session, address, login, search, server);
        const { database, row, fileBytes } = largest;
        const bytes = bytesOf(row, fileBytes, rowsOf(row, server));
        const rows =
          hidden.length > 0
            ? hiddenRows(login, hidden)
            : await withFiles(session, largest, rowsOf(row, server), fileBytes);
        return {
          database,
          ...(others.length > 0 && { others: others.map((other) => other.database) }),
          rows,
          bytes,
        };
      }),

    count: (login, search, limitMs) =>
      connected(login, async (session, server) => {
        const { largest, hidden } = await find(session, address, login, search, server);
        if (hidden.length > 0) throw hiddenDatabases(address, login, hidden);
        const { database, table } = largest;
        return count(session, login, dialect, { database, table, limitMs, answerMs: limits.answerMs });
      }),

    largestTable: (login, databases) =>
      connected(login, (session, server) =>
        largestTable(session, login, databases.map(server.nameOf), server),
      ),

    idleConnections: (login, databases, idleSeconds) =>
      connected(login, (session, server) => {
        const names = databases.map(server.nameOf);
        return dialect.idleFromThreads && server.performanceSchema
          ? idleByThreads(session, login, names, idleSeconds)
          : idleByProcessList(session, login, server, names, idleSeconds);
      }),
  };
}

interface Server {
  /** A database's or table's name as the server keeps it. */
  nameOf(name: string): string;
  performanceSchema: boolean;
  /** Defaults of a table's options. */
  statistics: { persistent: boolean; recalculated: boolean; samplePages: number };
  /** The user's own rights, one statement a line. */
  grants: string;
  /** Whether `_` and `%` in a database's name of a GRANT stand for other letters. */
  patterns: boolean;
  files: InnodbDialect['files'];
}

/** MySQL 5.7 has the names that MariaDB kept. */
export const OLD_NAMES: InnodbDialect['files'] = {
  tablespaces: 'INNODB_SYS_TABLESPACES',
  tables: 'INNODB_SYS_TABLES',
};

async function prepare(
  session: MysqlSession,
  { host, port, engine }: DatabaseAddress,
  dialect: InnodbDialect,
): Promise<Server> {
  const [row] = await session.query(
    'SELECT VERSION() AS version, @@lower_case_table_names AS lowerCase, @@performance_schema AS performanceSchema, ' +
      '@@innodb_stats_persistent AS persistent, @@innodb_stats_auto_recalc AS recalculated, @@innodb_stats_persistent_sample_pages AS samplePages',
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
  const grants = (await session.query('SHOW GRANTS')).flatMap((row) => Object.values(row)).join('\n');
  const [revokes] = await session.query("SHOW VARIABLES LIKE 'partial_revokes'");
  return {
    grants,
    patterns: revokes?.Value !== 'ON',
    files: /^5\./.test(String(row?.version)) ? OLD_NAMES : dialect.files,
    nameOf: (text) => (Number(row?.lowerCase) === 0 ? text : text.toLowerCase()),
    performanceSchema: Number(row?.performanceSchema) === 1,
    statistics: {
      persistent: Number(row?.persistent) === 1,
      recalculated: Number(row?.recalculated) === 1,
      samplePages: Number(row?.samplePages),
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
  format: unknown;
}

interface FoundTable {
  database: string;
  table: string;
  row: TableRow;
  /** Its file, and those of its parts and full-text indexes. Undefined: the user may not see that, or it has none of its own. */
  fileBytes: number | undefined;
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
): Promise<{ largest: FoundTable; others: FoundTable[]; hidden: string[] }> {
  const table = server.nameOf(search.table);
  const databases = search.databases.map(server.nameOf);
  const { visible, hidden } = await visibleDatabases(session, databases, server);
  const all: FoundTable[] = [];
  for (const database of visible) {
    const found = await session.query(`${TABLES} AND TABLE_NAME = ?`, [database, table]);
    const row = found.find(({ schemaName, name }) => schemaName === database && name === table);
    if (!row) continue;
    const files = await filesOf(session, database, server);
    all.push({ database, table, row: tableRowOf(row), fileBytes: files?.get(table) });
  }
  const [largest, ...others] = all.sort((a, b) => sizeOf(b) - sizeOf(a));
  if (largest) return { largest, others, hidden };
  if (hidden.length > 0 && visible.length === 0) throw hiddenDatabases(address, login, hidden);
  throw tableNotFound(
    address,
    { table, databases: visible.length > 0 ? visible : databases },
    hidden.length > 0
      ? `, and does not show ${login.username} ${hidden.join(', ')} (if they exist: ${grantsOf(login, hidden).join('; ')})`
      : '',
  );
}

function sizeOf({ row, fileBytes }: FoundTable): number {
  return fileBytes ?? Number(row.tableBytes ?? 0) + Number(row.indexBytes ?? 0);
}

/** Followed by further conditions; the first value is the database. */
const TABLES =
  'SELECT TABLE_SCHEMA AS schemaName, TABLE_NAME AS name, ENGINE AS engine, TABLE_ROWS AS `rows`, DATA_LENGTH AS tableBytes, ' +
  'INDEX_LENGTH AS indexBytes, CREATE_OPTIONS AS options, ROW_FORMAT AS format FROM information_schema.TABLES WHERE TABLE_SCHEMA = ?';

function tableRowOf({
  engine,
  rows,
  tableBytes,
  indexBytes,
  options,
  format,
}: Record<string, unknown>): TableRow {
  return { engine, rows, tableBytes, indexBytes, options, format };
}

/**
 * Which of the databases are shown. One that is not, and on which the user has a right, is not there; of another nobody
 * knows.
 */
async function visibleDatabases(
  session: MysqlSession,
  databases: readonly string[],
  { grants, patterns: isPattern }: Server,
): Promise<{ visible: string[]; hidden: string[] }> {
  const shown = await session.query(
    `SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN (${databases.map(() => '?').join(', ')})`,
    [...databases],
  );
  // Compared here, for the server's own comparison may take no heed of case.
  const visible = databases.filter((database) => shown.some(({ name }) => name === database));
  const patterns = [...grants.matchAll(/ ON (?:`((?:[^`]|``)+)`|(\*))\.\* TO /g)]
    .filter(([line]) => line !== '')
    .map(([, quoted, all]) => (all ? '%' : (quoted ?? '').replaceAll('``', '`')));
  const hasGlobalRight = /^GRANT (?!USAGE ON|PROXY)[^\n]* ON \*\.\* TO /m.test(
    grants.replaceAll(/GRANT (PROCESS|USAGE)(, (PROCESS|USAGE))* ON \*\.\* TO /g, ''),
  );
  const hidden = databases.filter(
    (database) =>
      !visible.includes(database) &&
      !patterns.some((pattern) =>
        pattern === '%' ? hasGlobalRight : isPattern ? isLike(database, pattern) : pattern === database,
      ),
  );
  return { visible, hidden };
}

/** As the server compares a name with the pattern of a GRANT. */
function isLike(name: string, pattern: string): boolean {
  const expression = pattern.replaceAll(/\\?[\s\S]/g, (part) => {
    if (part === '%') return '.*';
    if (part === '_') return '.';
    return part.slice(-1).replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${expression}$`, 's').test(name);
}

function hiddenDatabases(
  { host, port }: DatabaseAddress,
  login: Login,
  databases: readonly string[],
): MissingPrivilege {
  return new MissingPrivilege(
    `${host}:${port} shows ${login.username} none of the databases ${databases.join(', ')}: either there are none of these names, or ${login.username} has no right on them. ` +
      `An administrator grants one by which no row can be read: ${grantsOf(login, databases).join('; ')}`,
  );
}

function hiddenRows(login: Login, hidden: readonly string[]): RowEstimate {
  return {
    kind: 'unknown',
    reason: `the server does not show ${login.username} ${hidden.join(', ')}, where a larger table of the name may be (grant it, by which no row can be read: ${grantsOf(login, hidden).join('; ')})`,
  };
}

/**
 * What the files of a database's tables take, by table: parts and full-text indexes are added to theirs. Undefined without PROCESS.
 */
async function filesOf(
  session: MysqlSession,
  database: string,
  { grants, files }: Server,
): Promise<Map<string, number> | undefined> {
  if (!hasProcess(grants)) return undefined;
  const folder = fileNameOf(database);
  if (folder === undefined) return undefined;
  const inFolder = `${folder.replaceAll(/[\\%_]/g, '\\$&')}/%`;
  const spaces = await session.query(
    `SELECT NAME AS name, FILE_SIZE AS bytes FROM information_schema.${files.tablespaces} WHERE NAME LIKE ?`,
    [inFolder],
  );
  const ids = new Map(
    (
      await session.query(
        `SELECT NAME AS name, TABLE_ID AS id FROM information_schema.${files.tables} WHERE NAME LIKE ?`,
        [inFolder],
      )
    ).map(({ name, id }) => [
      BigInt(String(id)).toString(16).padStart(16, '0'),
      tableOf(String(name), folder),
    ]),
  );
  const sizes = new Map<string, number>();
  for (const { name, bytes } of spaces) {
    const own = tableOf(String(name), folder);
    const table = ids.get(/^fts_([0-9a-f]{16})_/i.exec(own)?.[1]?.toLowerCase() ?? '') ?? own;
    if (Number.isFinite(Number(bytes))) sizes.set(table, (sizes.get(table) ?? 0) + Number(bytes));
  }
  return sizes;
}

/** The table of a file's name, `folder/table` or `folder/table#p#part`. */
function tableOf(name: string, folder: string): string {
  const own = name.slice(folder.length + 1).replace(/#p#.*$/is, '');
  return own.replaceAll(/@([0-9a-f]{4})/gi, (_, code) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** How the server writes a name as that of a folder; undefined where that has rules that we do not know. */
function fileNameOf(name: string): string | undefined {
  if (/[^\x20-\x7e]/.test(name)) return undefined;
  return name.replaceAll(
    /[^A-Za-z0-9_]/g,
    (character) => `@${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function hasProcess(grants: string): boolean {
  return /\b(ALL PRIVILEGES|PROCESS)\b.* ON \*\.\*/.test(grants);
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
      reason: `the server shows what files take only to who has PROCESS, and its statistics miss what was not looked at since: GRANT PROCESS ON *.* TO ${accountName(login.username)} (it also shows the text of the statements that run, with what is in them)`,
    };
  let largest: LargestTable = { kind: 'unknown', reason: `there is no table in ${names.join(', ')}` };
  const { visible, hidden } = await visibleDatabases(session, names, server);
  for (const database of names) {
    // Also of what else is hidden from the user.
    const files = await filesOf(session, database, server);
    if (files === undefined)
      return {
        kind: 'unknown',
        reason: `what the files of ${database} take: its name has letters of which the file's name is not known`,
      };
    for (const [table, bytes] of files)
      if (largest.kind === 'unknown' || bytes > largest.bytes)
        largest = { kind: 'known', database, table, bytes };
    if (files.size === 0 && hidden.includes(database))
      return {
        kind: 'unknown',
        reason: `the server does not show ${login.username} ${database}, and no file of it (if it exists: ${grantsOf(login, [database]).join('; ')})`,
      };
    const others = visible.includes(database)
      ? await session.query(`${TABLES} AND TABLE_TYPE = 'BASE TABLE'`, [database])
      : [];
    const withoutFile = others.find(
      ({ schemaName, name, engine }) =>
        schemaName === database && engine !== null && !files.has(String(name)),
    );
    if (withoutFile)
      return {
        kind: 'unknown',
        reason: `what ${withoutFile.name} in ${database} takes: it has no file of its own (engine ${withoutFile.engine}, or a tablespace that it shares)`,
      };
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
  const samplePages =
    Number(/\bstats_sample_pages=(\d+)/i.exec(String(options))?.[1]) || statistics.samplePages;
  if (!persistent || samplePages < LEAST_SAMPLE_PAGES) {
    return {
      kind: 'unknown',
      reason: persistent
        ? `the server's statistics are of ${samplePages} pages only (STATS_SAMPLE_PAGES), which may miss by any factor`
        : "the server's statistics are not kept (STATS_PERSISTENT is off), and of a few pages",
    };
  }
  if (!recalculated) {
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

/** Files tell what is; statistics only what was when the server last looked, which it may never do. */
function bytesOf(
  { tableBytes, indexBytes }: TableRow,
  fileBytes: number | undefined,
  rows: RowEstimate,
): TableBytes {
  const table = Number(tableBytes ?? Number.NaN);
  const indexes = Number(indexBytes ?? Number.NaN);
  if (fileBytes !== undefined) {
    // How much of the file is indexes is known by statistics alone.
    const ofIndexes = Number.isNaN(indexes) ? 0 : Math.min(indexes, fileBytes);
    return { kind: 'known', table: fileBytes - ofIndexes, indexes: ofIndexes, from: 'files' };
  }
  if (Number.isNaN(table + indexes)) return { kind: 'unknown', reason: 'the server does not tell it now' };
  if (rows.kind === 'unknown')
    return { kind: 'unknown', reason: `without PROCESS it is known by statistics alone, and ${rows.reason}` };
  if (rows.atLeast * LEAST_ROW_BYTES > table) {
    return {
      kind: 'unknown',
      reason: 'the server has not looked at the table since many rows were put into it',
    };
  }
  return { kind: 'known', table, indexes, from: 'statistics' };
}

/** Bytes of the column types that always take the same, by MySQL's manual (Data Type Storage Requirements). */
const TYPE_BYTES: Record<string, number> = {
  tinyint: 1,
  smallint: 2,
  mediumint: 3,
  int: 4,
  bigint: 8,
  float: 4,
  double: 8,
  date: 3,
  time: 3,
  datetime: 5,
  timestamp: 4,
  year: 1,
};

/** Adds what the files can hold. They cannot hold fewer rows than there are, whatever the server's number says. */
async function withFiles(
  session: MysqlSession,
  { database, table, row }: FoundTable,
  rows: RowEstimate,
  fileBytes: number | undefined,
): Promise<RowEstimate> {
  if (rows.kind === 'unknown') return rows;
  const isCompressed = /compress/i.test(String(row.options)) || /compress/i.test(String(row.format));
  const columns = await session.query(
    'SELECT DATA_TYPE AS type FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND IS_NULLABLE = ?',
    [database, table, 'NO'],
  );
  const least = columns.reduce(
    (sum, { type }) => sum + (TYPE_BYTES[String(type).toLowerCase()] ?? 0),
    LEAST_ROW_BYTES,
  );
  const filesHold =
    fileBytes === undefined || isCompressed ? Number.POSITIVE_INFINITY : Math.floor(fileBytes / least);
  return filesHold > rows.atMost
    ? { ...rows, filesHold: Math.min(filesHold, Number.MAX_SAFE_INTEGER) }
    : rows;
}

async function count(
  session: MysqlSession,
  login: Login,
  dialect: InnodbDialect,
  {
    database,
    table,
    limitMs,
    answerMs,
  }: { database: string; table: string; limitMs: number; answerMs: number },
): Promise<ExactCount> {
  const name = `${identifier(database)}.${identifier(table)}`;
  try {
    const [row] = await session.query(
      dialect.countWithin(Math.max(1, Math.round(limitMs)), `COUNT(*) AS count FROM ${name}`),
      [],
      limitMs + answerMs,
    );
    return { kind: 'counted', rows: countOf(row) };
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
  { grants }: Server,
  databases: readonly string[],
  idleSeconds: number,
): Promise<number> {
  // Without it the list is of the own connections, and there is no error.
  if (!hasProcess(grants)) {
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
