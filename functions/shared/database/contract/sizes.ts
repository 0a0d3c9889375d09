import type { Login } from './engine.ts';

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
   * The largest table of the databases, whatever it is called, by the files. Unknown where the server hides a database or the
   * files from the login.
   * @throws as {@link table}
   */
  largestTable(login: Login, databases: readonly string[]): Promise<LargestTable>;
  /**
   * Connections to any of the databases that have done nothing for longer than a time.
   * @throws MissingPrivilege where the server shows the login only its own connections; NotKnown where it does not note what they do; and
   *   as {@link table}
   */
  idleConnections(login: Login, databases: readonly string[], idleSeconds: number): Promise<number>;
}

/** Where to look for a table. Names are compared as the engine compares them. */
export interface TableSearch {
  table: string;
  /** Where several of them have the table, the one with most rows counts. */
  databases: readonly string[];
}

/** What the server tells of a table. */
export interface TableSize {
  /** The database that has it, as the server spells it. */
  database: string;
  /** Others that have a table of the name, with fewer rows: `database`, or `database.schema`. */
  others?: string[];
  rows: RowEstimate;
  bytes: TableBytes;
}

/** A table's rows as far as the server knows them without counting. */
export type RowEstimate =
  /** The truth lies between `atLeast` and `atMost`; docs/database-size.md says which changes of just before escape a server. */
  | {
      kind: 'estimate';
      rows: number;
      atLeast: number;
      atMost: number;
      /**
       * What the files can hold at the most, where the number itself may be wrong beyond `atMost` without a sign (MySQL, MariaDB: a
       * large delete that was rolled back, or is open). Undefined: that cannot be, or is within `atMost`.
       */
      filesHold?: number;
      /**
       * Which share of the table's own file its rows took when the server last looked, from 0 to 1, where the number may be what a rolled
       * back delete left (MySQL): so many of the rows that it ever had it may still have. Undefined: that cannot be, or is not known.
       */
      rowsShare?: number;
      /** When that file was made, in epoch milliseconds: what was before says nothing of it. Undefined: that is not known. */
      madeAt?: number;
    }
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
  /** Somebody ended it, before the time limit. */
  | { kind: 'cancelled' }
  /** Somebody holds a lock by which nobody may read. */
  | { kind: 'locked' };
