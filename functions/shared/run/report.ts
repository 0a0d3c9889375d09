/** How a run ended. `partial`: some of the work was done, and something still needs a person or the next run. */
export type Outcome = 'succeeded' | 'partial' | 'failed' | 'skipped';

/** Something that went wrong in a run, for the operator who reads of it. */
export interface Problem {
  /** What happened, in one sentence. */
  what: string;
  /** Where: the deployment and, if there is one, the node, container or queue. */
  where: string;
  /** What to do next. */
  next: string;
  /** Another alarm that tells of it, where there is one. A run of which others have told all problems does not ring by itself. */
  toldBy?: ToldBy;
}

/** An alarm that tells of a problem. */
export interface ToldBy {
  /** Its name. */
  alarm: string;
  /** Since when what it tells is of this. ISO 8601. @default the run's start */
  since?: string;
}

/** What a run did. Every job ends with one, in its log, its metrics and an event. */
export interface RunReport {
  /** The job's name. */
  job: string;
  /** The deployment's name. */
  deployment: string;
  /** The name of the durable execution, made of deployment, job and scheduled time, or `manual-` and what names the request. */
  runId: string;
  /** When the schedule wanted the run, or when it was asked for by hand. ISO 8601, UTC. */
  scheduledFor: string;
  /** ISO 8601, UTC. */
  startedAt: string;
  /** ISO 8601, UTC. */
  endedAt: string;
  /** How the run ended. */
  outcome: Outcome;
  /** Numbers with plain names, such as `messagesDeleted`. Each becomes a metric. */
  figures: Record<string, number>;
  /** What went wrong, or must be known, one by one. */
  problems: Problem[];
  /** What the figures leave out, such as a list of nodes. In the log line and the event, not in the metrics. */
  details?: Record<string, unknown>;
}

/** The metric namespace of every run. Dimensions: `deployment` and `job`. */
export const METRIC_NAMESPACE = 'Upkeep';

/** `source` of the event that carries a {@link RunReport} as its detail, on the account's default bus. */
export const REPORT_EVENT_SOURCE = 'upkeep';

/** `detail-type` of the event that carries a {@link RunReport}. */
export const REPORT_EVENT_TYPE = 'Run Report';

/** The metric's name of a figure. */
export function metricName(figure: string): string {
  return figure.charAt(0).toUpperCase() + figure.slice(1);
}

/** The metric that counts runs of each outcome: 1 for the outcome that a run had, 0 for the others. */
export const OUTCOME_METRICS = {
  succeeded: 'RunsSucceeded',
  partial: 'RunsPartial',
  failed: 'RunsFailed',
  skipped: 'RunsSkipped',
} as const satisfies Record<Outcome, string>;

/** The metric of runs that ended without a report of their own: told as 0 by each report, so that it can be reckoned with. */
export const LOST_METRIC = 'RunsLost';

/** The metrics of runs all of whose problems other alarms tell: they count as runs of that outcome as well. */
export const TOLD_METRICS = { failed: 'RunsFailedTold', partial: 'RunsPartialTold' } as const;

/** The metrics of those among them of which an alarm has told nobody in the end: report-lost-run tells it, after the report. */
export const UNTOLD_METRICS = { failed: 'RunsFailedUntold', partial: 'RunsPartialUntold' } as const;

/** The outcome of a run all of whose problems other alarms tell; `undefined` of any other. */
export function toldElsewhereAs({
  outcome,
  problems,
}: Pick<RunReport, 'outcome'> & { problems: readonly Pick<Problem, 'toldBy'>[] }):
  | keyof typeof TOLD_METRICS
  | undefined {
  if (outcome !== 'failed' && outcome !== 'partial') return undefined;
  return problems.length > 0 && problems.every(({ toldBy }) => toldBy) ? outcome : undefined;
}

/** The figure of a report that a run gave up, and no other has. */
export const GIVEN_UP_FIGURE = 'failedInvocations';

/** The name of a job's alarm on crashes. */
export function crashingAlarmName(deployment: string, job: string): string {
  return `${deployment}-${job}-crashing`;
}

/** The name of the queue, and of its alarm, of the events of a job's runs that Lambda could not begin or bring to an end. */
export function deadLettersName(deployment: string, job: string): string {
  return `${deployment}-${job}-dead-letters`;
}

/** The queues, and their alarms, of starts of runs that failed: at start-run, each time, and on the way to it. */
export function startLettersNames(deployment: string): { startRun: string; schedules: string } {
  return {
    startRun: deadLettersName(deployment, 'start-run'),
    schedules: deadLettersName(deployment, 'schedules'),
  };
}

/**
 * A letter of a lost run is taken out of the dead letters within a minute or so of coming there, or once EventBridge has tried for
 * {@link LOST_RUN_EVENT_MINUTES}. What lies there longer nobody has told of; the alarm looks by five minutes.
 */
export const LETTER_TAKEN_MINUTES = 15;

/** The metric of lost runs of which another alarm has told somebody already: they count in the lost ones as well. */
export const LOST_TOLD_METRIC = 'RunsLostTold';

/** So long EventBridge tries to hand the end of a run to report-lost-run. Lambda then tries for half an hour to have it done. */
export const LOST_RUN_EVENT_MINUTES = 10;

/** The metric of a run's length, in seconds. */
export const DURATION_METRIC = 'RunSeconds';
