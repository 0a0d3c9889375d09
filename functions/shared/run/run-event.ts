/** What start-run passes to the job: the same for the same run, since its durable execution is found by name and payload. */
export interface RunEvent {
  /** The job's name. */
  job: string;
  /** The deployment's name. */
  deployment: string;
  /** Names the run: the name of its durable execution. */
  runId: string;
  /** When the schedule wanted the run, or when it was asked for by hand. ISO 8601, UTC. */
  scheduledFor: string;
  /**
   * When the run must end: with the downtime window that contains `scheduledFor`, or with the job's time limit,
   * counted from then, where that is earlier. Outside the window the time limit alone counts. ISO 8601, UTC.
   */
  endBy: string;
  /** Whether `scheduledFor` lies outside the downtime window: where the job may run there, or a person said so. */
  outsideWindow?: boolean;
  /** What goes on of the jobs that this one waits for, as `waitsFor` of its target names them. */
  runsToWaitFor?: OtherRun[];
  /** The topic of the alarms, where nobody has confirmed a subscription of it. */
  nobodyGetsAlarmsOf?: string;
  /** As start-run got them. */
  options?: Record<string, unknown>;
}

/** A run that another one waits for. */
export interface OtherRun {
  /** The job's name. */
  job: string;
  /** Names the run: the name of its durable execution. */
  runId: string;
  /** Of its durable execution. */
  durableExecutionArn: string;
}
