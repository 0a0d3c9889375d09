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
}
