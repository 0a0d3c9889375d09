import type { DatabaseAddress } from '../contract/engine.ts';
import { RotationRefused, StatementRefused } from '../contract/errors.ts';
import { ownAccount } from './accounts.ts';
import type { MysqlSession } from './session.ts';

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
  /** Whether what a delete has subtracted from its number of rows stays subtracted when that is rolled back. */
  keepsRolledBackDeletes: boolean;
  /** Of information_schema, for who has PROCESS: names and sizes of the files, names and ids of the tables. */
  files: { tablespaces: string; tables: string };
}

export interface Server {
  /** A database's or table's name as the server keeps it. */
  nameOf(name: string): string;
  performanceSchema: boolean;
  /** Defaults of a table's options. */
  statistics: { persistent: boolean; recalculated: boolean; samplePages: number };
  /** Of InnoDB's pages: also what an empty table or index takes. */
  pageBytes: number;
  keepsRolledBackDeletes: boolean;
  /** Whose rights these are, as a statement names it. */
  account: string;
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

export async function prepare(
  session: MysqlSession,
  { host, port, engine }: DatabaseAddress,
  dialect: InnodbDialect,
): Promise<Server> {
  const [row] = await session.query(
    'SELECT VERSION() AS version, @@lower_case_table_names AS lowerCase, @@performance_schema AS performanceSchema, ' +
      '@@innodb_stats_persistent AS persistent, @@innodb_stats_auto_recalc AS recalculated, @@innodb_stats_persistent_sample_pages AS samplePages, ' +
      '@@innodb_page_size AS pageBytes',
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
  // A count sees what is committed, at one moment (READ UNCOMMITTED: also half of a purge that is rolled back), and locks no row (SERIALIZABLE).
  await session.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
  await dialect.ask(session);
  const grants = (await session.query('SHOW GRANTS')).flatMap((row) => Object.values(row)).join('\n');
  const [revokes] = await session.query("SHOW VARIABLES LIKE 'partial_revokes'");
  return {
    account: await ownAccount(session),
    grants,
    patterns: revokes?.Value !== 'ON',
    files: /^5\./.test(String(row?.version)) ? OLD_NAMES : dialect.files,
    nameOf: (text) => (Number(row?.lowerCase) === 0 ? text : text.toLowerCase()),
    performanceSchema: Number(row?.performanceSchema) === 1,
    pageBytes: Number(row?.pageBytes),
    keepsRolledBackDeletes: dialect.keepsRolledBackDeletes,
    statistics: {
      persistent: Number(row?.persistent) === 1,
      recalculated: Number(row?.recalculated) === 1,
      samplePages: Number(row?.samplePages),
    },
  };
}

export function hasProcess(grants: string): boolean {
  return /\b(ALL PRIVILEGES|PROCESS)\b.* ON \*\.\*/.test(grants);
}

export function isRefusal(error: unknown, ...codes: string[]): boolean {
  return error instanceof StatementRefused && codes.includes(error.code);
}

export function identifier(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
