/** What a schedule, or a person by hand, sends to start-run. */
export interface StartRunEvent {
  job: string;
  deployment: string;
  /** ISO 8601, UTC. Left out by a person: now. */
  scheduledFor?: string;
  /** For the job, in a run that a person starts: see the job's own contract for what it knows. */
  options?: Record<string, unknown>;
}

/** What start-run passes to the job: the same for the same run, since its durable execution is found by name and payload. */
export interface RunEvent {
  job: string;
  deployment: string;
  runId: string;
  /** ISO 8601, UTC. */
  scheduledFor: string;
  /**
   * When the run must end: with the downtime window that contains `scheduledFor`, or with the job's time limit,
   * counted from then, where that is earlier. Outside the window the time limit alone counts. ISO 8601, UTC.
   */
  endBy: string;
  /** Whether `scheduledFor` lies outside the downtime window, which only a job sees that may run there. */
  outsideWindow?: boolean;
  /** As start-run got them. */
  options?: Record<string, unknown>;
}

/** start-run's environment variable `UPKEEP_SETTINGS`, as JSON. */
export interface StartRunSettings {
  deployment: string;
  /** IANA name. */
  timeZone: string;
  /** Local times `HH:MM`; `to` before `from` crosses midnight. */
  window: { from: string; to: string };
  jobs: Record<string, JobTarget>;
}

/** How start-run reaches a job. */
export interface JobTarget {
  /** The ARN of the durable function's alias. */
  aliasArn: string;
  /** How long a run may take, counted from its scheduled time. */
  timeLimitSeconds: number;
  /** Names of the jobs, itself left out, during whose runs this one must not start. */
  conflictsWith: string[];
  /** Whether a run may start outside the downtime window. @default false */
  outsideWindow?: boolean;
}

/** What became of a request to start a run: start-run's answer. */
export type StartOutcome =
  /** The ARN is that of the run's durable execution, whose result is the run's report. */
  | { runId: string; outcome: 'started'; durableExecutionArn?: string }
  | { runId: string; outcome: 'already-started' }
  /** The reason is in the run's report too. */
  | { runId: string; outcome: 'skipped'; reason: string };
