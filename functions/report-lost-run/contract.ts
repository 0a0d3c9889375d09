import type { REPORT_EVENT_TYPE } from '../shared/run/report.ts';

/** The part that is used of EventBridge's `Durable Execution Status Change` (source `aws.lambda`). */
export interface DurableExecutionStatusChange {
  time: string;
  detail: {
    durableExecutionArn: string;
    durableExecutionName: string;
    functionArn: string;
    status: 'FAILED' | 'TIMED_OUT' | 'STOPPED';
    startTimestamp?: string;
  };
}

/** The part that is used of the event of a run's report, of one that gave up. */
export interface GivenUpRun {
  'detail-type': typeof REPORT_EVENT_TYPE;
  detail: {
    job: string;
    deployment: string;
    runId: string;
    details?: { failedSince?: string };
  };
}

/** report-lost-run's environment variable `UPKEEP_SETTINGS`, as JSON. */
export interface ReportLostRunSettings {
  deployment: string;
  /** The deployment's, by name. */
  jobs: string[];
}
