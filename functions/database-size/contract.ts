import type { DatabaseAddress } from '../shared/database/contract/engine.ts';
import type { CredentialCopy } from '../shared/database/credential/copies.ts';

/** database-size's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface DatabaseSizeSettings {
  deployment: string;
  /** Each has its own metrics. */
  sets: DatabaseSet[];
  /** Counts the rows one by one, besides. The same can be asked for a single run: see {@link DatabaseSizeOptions}. */
  exactCount?: ExactCountSettings;
  /** The client's media volume: the age of its last backup is told. @default none is told */
  mediaVolume?: MediaVolumeSettings;
  /** Each is compared with the credential. @default none is */
  passwordCopies?: PasswordCopiesSettings;
}

/** Databases that belong together, on one server. */
export interface DatabaseSet {
  /** ASCII, not empty. The dimension `set` of its metrics. */
  name: string;
  database: DatabaseAddress;
  /** The Secrets Manager secret of a user that needs no right to read a row. */
  secretArn: string;
  /** All that belong to it, by their whole names. */
  databases: string[];
  tables: WatchedTable[];
  /** Connections that were idle for longer are told. @default none is told */
  idleTimeoutSeconds?: number;
}

/** A table whose rows are told. */
export interface WatchedTable {
  table: string;
  /** Where it is looked for: whole names. */
  databases: string[];
  /** The report's figure of its rows; in PascalCase, the metric's name. */
  figure: string;
  /**
   * Tells in how many days it will have so many rows, at the earliest that is likely: see `forecast`. Within a tenth of the limit no
   * more than `daysAhead` are told, the days of an alarm's warning.
   */
  limit?: { rows: number; figure: string; daysAhead: number };
}

/** An EFS file system that AWS Backup backs up. */
export interface MediaVolumeSettings {
  fileSystemArn: string;
}

/** Where a rotated credential is kept besides its secret. */
export interface PasswordCopiesSettings {
  secretArn: string;
  copies: CredentialCopy[];
  /** A rotation's run has delivered after so long, or failed: its time limit. */
  deliverySeconds: number;
}

export interface ExactCountSettings {
  /** For each table. At most {@link LONGEST_COUNT_SECONDS}. */
  timeLimitSeconds: number;
}

/** The `options` of start-run's event, for a run that is started by hand. */
export interface DatabaseSizeOptions {
  /** Instead of the settings' own. */
  exactCount?: ExactCountSettings;
}

/** A count lies within one invocation, of which Lambda allows 15 minutes. */
export const LONGEST_COUNT_SECONDS = 600;

/** The dimension, besides `deployment` and `job`, of a set's own metrics. */
export const SET_DIMENSION = 'set';

/** Bytes of all watched tables of a set, and of their indexes; connections that are idle for longer than allowed. */
export const SET_FIGURES = {
  tableBytes: 'tableBytes',
  indexBytes: 'indexBytes',
  idleConnections: 'idleConnections',
} as const;

/** The metric, after a table's figure, of how many rows too few it may tell: 0 for a count. */
export const MARGIN = 'Margin';

/** The report's figure of the hours since the media volume's last backup. */
export const LAST_BACKUP_FIGURE = 'lastBackupAgeHours';

/**
 * Stands for "there is no backup", in hours: ten years. When the file system was made would take one more permission, and
 * one more way out of the VPC.
 */
export const NO_BACKUP_HOURS = 87_600;

/** The name of the alarm on copies of the credential that do not hold it. */
export function passwordCopiesAlarmName(deployment: string): string {
  return `${deployment}-database-size-password-copies`;
}

/** The report's figure of copies of the credential that do not hold it. */
export const DIFFERING_COPIES_FIGURE = 'passwordCopiesDiffering';
