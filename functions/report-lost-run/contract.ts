import type { Problem, REPORT_EVENT_TYPE, RunReport } from '../shared/run/report.ts';

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

/** The part that is used of the event of a run's report, of one with a problem of which another alarm tells. */
export interface RunToldElsewhere {
  'detail-type': typeof REPORT_EVENT_TYPE;
  detail: Pick<RunReport, 'job' | 'deployment' | 'runId' | 'startedAt' | 'outcome'> & {
    problems: Pick<Problem, 'toldBy'>[];
  };
}

/**
 * The part that is used of CloudWatch's event of an alarm that went on: of one on a job's dead letters. Of those on starts that
 * failed, of an alarm that went off as well.
 */
export interface LettersForgotten {
  'detail-type': typeof ALARM_EVENT_TYPE;
  detail: { alarmName: string };
}

/** `detail-type` of the event (CloudWatch User Guide, "Alarm events and EventBridge"). */
export const ALARM_EVENT_TYPE = 'CloudWatch Alarm State Change';

/** report-lost-run's environment variable `UPKEEP_SETTINGS`, as JSON. */
export interface ReportLostRunSettings {
  deployment: string;
  /** The deployment's, by name. */
  jobs: string[];
  /** What the URLs of the account's queues begin with: the queue's name follows. */
  queues: string;
}
