/** What a schedule, or a person by hand, sends to start-run. At most {@link MAXIMUM_EVENT_BYTES} as JSON. */
export interface StartRunEvent {
  job: string;
  /** The deployment whose runs it starts. */
  deployment: string;
  /**
   * Of a schedule: an instant with its zone (ISO 8601) that is not ahead and at most {@link OLDEST_START_HOURS} ago. By hand it
   * is left out, and the run has a name of its own, that no schedule can have.
   */
  scheduledFor?: string;
  /** By hand: names the request, so that saying it twice starts one run. @default Lambda's id of the request */
  request?: string;
  /** By hand: starts the run outside the downtime window too, and its report says so. @default false */
  outsideWindow?: boolean;
  /** For the job, in a run that a person starts: see the job's own contract for what it knows. */
  options?: Record<string, unknown>;
}

/** The ledger keeps an event until its run has begun, in a parameter of 4 KB. */
export const MAXIMUM_EVENT_BYTES = 2048;

/** A day, which is the scheduler's longest flexible window, and an hour for what it and Lambda try again. */
export const OLDEST_START_HOURS = 25;

/** start-run's environment variable `UPKEEP_SETTINGS`, as JSON. */
export interface StartRunSettings {
  /** The deployment whose runs it starts. */
  deployment: string;
  /** IANA name. */
  timeZone: string;
  /** Local times `HH:MM`; `to` before `from` crosses midnight. */
  window: { from: string; to: string };
  /** Under which Parameter Store keeps the ledger of runs: `/upkeep/DEPLOYMENT/runs`. */
  ledgerPath: string;
  /** Of the alarms, where somebody is to be told of them. */
  topicArn?: string;
  /** What it may start, by the job's name. */
  jobs: Record<string, JobTarget>;
}

/** How start-run reaches a job. */
export interface JobTarget {
  /** The ARN of the durable function's alias. */
  aliasArn: string;
  /** How long a run may take, counted from its scheduled time. */
  timeLimitSeconds: number;
  /** After which Lambda has ended a run by force at the latest, counted from its start. */
  longestSeconds: number;
  /** Names of the jobs, itself left out, during whose runs this one must not start. */
  conflictsWith: string[];
  /** Names of the jobs whose runs this one waits for by itself: it starts beside them, and is told which they are. */
  waitsFor?: string[];
  /** Whether a run may start outside the downtime window. @default false */
  outsideWindow?: boolean;
}

/** What became of a request to start a run: start-run's answer. */
export type StartOutcome =
  /** The ARN is that of the run's durable execution, whose result is the run's report. */
  | { runId: string; outcome: 'started'; durableExecutionArn?: string }
  | { runId: string; outcome: 'already-started'; durableExecutionArn?: string }
  /** The reason is in the run's report too. */
  | {
      runId: string;
      outcome: 'skipped';
      reason: string;
      /** With `outsideWindow` in the event it may start all the same. */
      isOutsideWindow?: true;
    };

/** What `wa-upkeep doctor` sends to start-run: that a job looks at what its runs need, in no run. */
export interface ExaminationRequest {
  examine: true;
  job: string;
  deployment: string;
}

/** What upgrade-check sends to start-run: which runs go on. Nothing is begun by it. */
export interface RunningRequest {
  running: true;
  deployment: string;
}

/** start-run's answer to it, by its own ledger: of all jobs, also those whose start is not yet in Lambda's list of executions. */
export interface RunningRuns {
  running: { job: string; runId: string }[];
}

/** start-run's answer to an examination. The execution's result is an `Examination`. */
export interface ExaminationBegun {
  durableExecutionArn: string;
}
