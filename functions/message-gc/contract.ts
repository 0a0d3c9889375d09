import type { DatabaseAddress } from '../shared/database/contract/engine.ts';
import type { TrafficMetric } from '../shared/run/traffic.ts';
import type { DailyWindow } from '../shared/run/window.ts';
import type { GcSettings } from '../shared/whatsapp/settings.ts';

/** message-gc's environment variable `UPKEEP_SETTINGS`, as JSON. Its event is start-run's `RunEvent`. */
export interface MessageGcSettings extends GcSettings {
  /** Absent: no message is marked read. */
  markRead?: {
    /** The queue to which the callbacks bus sends inbound messages. */
    queueUrl: string;
    olderThanSeconds: number;
    requestsPerSecond: number;
    concurrency: number;
  };
  /** Where the rows of `messages` are told before and after. Absent: they are not. */
  sets?: MessageSet[];
  /** Once a week it is told whether the downtime window is still quiet. Absent: it is not. */
  watchWindow?: WatchWindowSettings;
}

/** What tells whether the downtime window is quiet. */
export interface WatchWindowSettings {
  traffic: TrafficMetric;
  window: DailyWindow;
  timeZone: string;
}

/** The report's figure, once a week, of whether the downtime window is quiet: 1 or 0. */
export const QUIET_WINDOW_FIGURE = 'windowIsQuiet';

/** The table `messages` of the databases that the client named with one prefix. */
export interface MessageSet {
  /** As in database-size's metrics. */
  name: string;
  database: DatabaseAddress;
  /** The Secrets Manager secret of a user that needs no right to read a row. */
  secretArn: string;
  /** Where the table is looked for: whole names. */
  databases: string[];
}

/**
 * The figures of the rows of `messages`. The first two are the report's, too: sums over the sets, absent if they are unknown of one.
 * Each set has its own metrics, with the dimension `set`, by which its growth is judged later.
 */
export const ROW_FIGURES = {
  /** As the servers estimate them, before garbage collection was asked for. */
  before: 'messageRowsBefore',
  /** Likewise, after the last callback. */
  after: 'messageRowsAfter',
  /** How many there can have been before, at the most: of runs that succeeded. A set's metric only. */
  atMost: 'messageRowsAtMost',
} as const;

/** The dimension, besides `deployment` and `job`, of a set's own metrics. */
export const SET_DIMENSION = 'set';
