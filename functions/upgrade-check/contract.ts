import type { DatabaseAddress } from '../shared/database/contract/engine.ts';

/** upgrade-check's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface UpgradeCheckSettings {
  deployment: string;
  sets: CheckedSet[];
  /** A table with more is too large for an upgrade. */
  maximumRows: number;
  /** @default whether it ran is unknown */
  cleaning?: CleaningSettings;
  /** By which runs are started, and which knows what runs go on. */
  startRunArn: string;
  /** Jobs that only look: an upgrade may come in between. */
  readingJobs: string[];
  /** None of them may go on, nor any other that start-run has begun. */
  otherJobs: { job: string; functionArn: string }[];
  /** What has to be steady. @default whether it is, is unknown */
  services?: { clusterArn: string; names: string[] };
  /** Of a server that is not among them the free space is unknown. */
  storage: ServerStorage[];
}

/** Databases that belong together, on one server. */
export interface CheckedSet {
  name: string;
  database: DatabaseAddress;
  /** The Secrets Manager secret of a user that needs no right to read a row. */
  secretArn: string;
  /** All that belong to it, by their whole names. */
  databases: string[];
  tables: CheckedTable[];
}

/** A table whose rows are looked at. */
export interface CheckedTable {
  table: string;
  /** Where it is looked for: whole names. */
  databases: string[];
  /** With `AtMost` after it, the report's figure of the rows that it has at the most. */
  figure: string;
}

/** The job that makes tables smaller, and has to have run lately. */
export interface CleaningSettings {
  job: string;
  functionArn: string;
  /** Whose rows it deletes. */
  tables: string[];
  /** How long ago it may have succeeded. */
  maximumAgeHours: number;
}

/** What CloudWatch calls a database server. */
export interface ServerStorage {
  /** As in the sets' addresses. */
  host: string;
  /** Of the DB instance; of Aurora, of the DB cluster. */
  identifier: string;
}

/** A count lies within one invocation, of which Lambda allows 15 minutes. */
export const LONGEST_COUNT_SECONDS = 600;

/** The `options` of start-run's event. */
export interface UpgradeCheckOptions {
  /** Has the cleaning job run, inside the downtime window, until the answer is yes. */
  prepare?: boolean;
  /** Counts the rows of each table one by one. */
  exactCount?: {
    /** For each table. At most {@link LONGEST_COUNT_SECONDS}. */
    timeLimitSeconds: number;
  };
}

/** The report's figure of the answer: 1 for yes, 0 for no and for unknown. */
export const ANSWER_FIGURE = 'mayBeUpgraded';
