import type { DatabaseAddress } from './rotation.ts';
import { ENGINES, type Engine, type EngineFamily, type Login } from './secret.ts';

/**
 * Tells how large the tables of a database server are, by what the server knows of them itself: no row is read, no
 * lock is waited for, and the login needs no right to read a row. The engine's driver is loaded only here.
 */
export async function sizeReader(address: DatabaseAddress): Promise<SizeReader> {
  switch (ENGINES[address.engine]) {
    case 'mysql':
      return (await import('./size-mysql.ts')).mysqlSizes(address);
    case 'mariadb':
      return (await import('./size-mariadb.ts')).mariadbSizes(address);
    case 'postgres':
      return (await import('./size-postgres.ts')).postgresSizes(address);
  }
}

/** What each engine's sizes are read by: the driver comes with it. */
const MODULES: Record<EngineFamily, readonly string[]> = {
  mysql: ['size-mysql'],
  mariadb: ['size-mariadb', 'size-mysql'],
  postgres: ['size-postgres'],
};

/**
 * The imports that a bundle does not need for databases of these engines, as the sources write them and as they do when
 * they are compiled: name them to esbuild as external. They bring most of a bundle's size.
 */
export function importsToLeaveOut(engines: readonly Engine[]): string[] {
  const needed = new Set(engines.flatMap((engine) => MODULES[ENGINES[engine]]));
  const all = new Set(Object.values(MODULES).flat());
  return [...all].filter((name) => !needed.has(name)).flatMap((name) => [`./${name}.ts`, `./${name}.js`]);
}

/** What an engine tells of tables. Each method connects by itself and may be repeated. */
export interface SizeReader {
  /**
   * The size of a table.
   * @throws TableNotFound; MissingPrivilege, naming the grant; LoginRefused, DatabaseUnreachable, StatementRefused
   */
  table(login: Login, search: TableSearch): Promise<TableSize>;
  /**
   * Counts a table's rows one by one, unlike {@link table}: the server reads the whole table, or an index of it.
   * @throws as {@link table}
   */
  count(login: Login, search: TableSearch, timeLimitMs: number): Promise<ExactCount>;
  /**
   * The largest table of the databases, whatever it is called. Where the server hides a database from who has no right on
   * it (MySQL, MariaDB), that one is left out.
   * @throws as {@link table}
   */
  largestTable(login: Login, databases: readonly string[]): Promise<LargestTable>;
  /**
   * Connections to any of the databases that have done nothing for longer than a time.
   * @throws MissingPrivilege where the server shows the login only its own connections; and as {@link table}
   */
  idleConnections(login: Login, databases: readonly string[], idleSeconds: number): Promise<number>;
}

/** Where to look for a table. Names are compared as the engine compares them. */
export interface TableSearch {
  table: string;
  /** The first one that has the table counts. */
  databases: readonly string[];
}

/** What the server tells of a table. */
export interface TableSize {
  /** The database that has it, as the server spells it. */
  database: string;
  rows: RowEstimate;
  bytes: TableBytes;
}

/** A table's rows as far as the server knows them without counting. */
export type RowEstimate =
  /** The truth lies between `atLeast` and `atMost`. */
  | { kind: 'estimate'; rows: number; atLeast: number; atMost: number }
  /** The server has no number, or one that cannot be right. */
  | { kind: 'unknown'; reason: string };

/** What a table and its indexes take on disk. */
export type TableBytes =
  /** `files`: as large as the files are now; `statistics`: as of the server's last look at the table. */
  | { kind: 'known'; table: number; indexes: number; from: 'files' | 'statistics' }
  | { kind: 'unknown'; reason: string };

/** The largest of several tables, with its indexes. */
export type LargestTable =
  | { kind: 'known'; database: string; table: string; bytes: number }
  /** The size of one of them is. */
  | { kind: 'unknown'; reason: string };

/** What became of a count. */
export type ExactCount =
  | { kind: 'counted'; rows: number }
  /** The time limit ended it. */
  | { kind: 'too-slow' }
  /** Somebody holds a lock by which nobody may read. */
  | { kind: 'locked' };

/** None of the databases in which a table was looked for has it. */
export class TableNotFound extends Error {
  override name = 'TableNotFound';
}

/** How long one question to the server's own tables may take. Each takes some milliseconds; this only stops a hang. */
export const QUESTION_LIMIT_MS = 5_000;

/** An estimate that may be wrong by a factor either way, and by some rows in a table so small that a factor says nothing. */
export function estimate(rows: number, factor: number, fewRows: number): RowEstimate {
  return {
    kind: 'estimate',
    rows,
    atLeast: Math.max(0, Math.floor(rows / factor) - fewRows),
    atMost: Math.ceil(rows * factor) + fewRows,
  };
}

export function tableNotFound(
  { host, port }: DatabaseAddress,
  { table, databases }: TableSearch,
  detail = '',
): TableNotFound {
  return new TableNotFound(
    `${host}:${port} has no table ${table} in ${databases.join(', ')}${detail}. Check the prefix and the names of the databases in the configuration.`,
  );
}
