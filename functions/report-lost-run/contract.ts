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

/** report-lost-run's environment variable `UPKEEP_SETTINGS`, as JSON. */
export interface ReportLostRunSettings {
  deployment: string;
}
