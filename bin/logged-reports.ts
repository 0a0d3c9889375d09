import {
  CloudWatchLogsClient,
  type CloudWatchLogsClientConfig,
  paginateFilterLogEvents,
  ResourceNotFoundException,
} from '@aws-sdk/client-cloudwatch-logs';
import type { RunReport } from '../functions/shared/run/report.ts';
import type { Run } from './deployments.ts';

/**
 * CloudWatch Logs filters five times a second for all of an account, in some regions: of fifty deployments some have to wait, and more
 * where it answers in several pages. Adaptive, they slow down together: against such a limit each alone took twice as long, and one gave up.
 */
const PATIENT = { retryMode: 'adaptive', maxAttempts: 10 };

/** Who reports runs that have no report of their own: start-run those that it skipped, the other those that failed to start or were lost. */
const REPORTERS = { skipped: 'start-run', failed: 'report-lost-run' } as const;

/** The log of the functions that report runs in place of these. */
export function logsClient(where: CloudWatchLogsClientConfig): CloudWatchLogsClient {
  return new CloudWatchLogsClient({ ...PATIENT, ...where });
}

/**
 * The reports of runs that could not report by themselves, the newest of each: of those that never began, and of those that ended
 * without a report. Needs `logs:FilterLogEvents` on the logs of start-run and report-lost-run.
 * @param of what is looked for. @default since: as far as the logs go; job, runId: any
 */
export async function loggedReports(
  logs: CloudWatchLogsClient,
  deployment: string,
  outcomes: readonly (keyof typeof REPORTERS)[],
  { since, job, runId }: { since?: Date; job?: string; runId?: string },
): Promise<RunReport[]> {
  const conditions = [
    '$.message = "Run report"',
    ...(job === undefined ? [] : [`$.report.job = "${job}"`]),
    ...(runId === undefined ? [] : [`$.report.runId = "${runId}"`]),
  ];
  const found = new Map<string, RunReport>();
  for (const outcome of outcomes)
    for (const report of await reportsIn(
      logs,
      `/aws/lambda/${deployment}-${REPORTERS[outcome]}`,
      `{ ${conditions.join(' && ')} }`,
      since,
    ))
      found.set(report.runId, report);
  return [...found.values()];
}

async function reportsIn(
  client: CloudWatchLogsClient,
  logGroupName: string,
  filterPattern: string,
  since: Date | undefined,
): Promise<RunReport[]> {
  const reports: RunReport[] = [];
  const pages = paginateFilterLogEvents(
    { client },
    { logGroupName, filterPattern, ...(since && { startTime: since.getTime() }) },
  );
  try {
    for await (const { events = [] } of pages)
      for (const { message = '' } of events)
        reports.push((JSON.parse(message) as { report: RunReport }).report);
  } catch (error) {
    // Taken away with its function.
    if (!(error instanceof ResourceNotFoundException)) throw error;
  }
  return reports;
}

/** A run that never began, as whoever would have begun it reports it. */
export function neverBegun(report: RunReport): Run {
  return {
    runId: report.runId,
    arn: undefined,
    status: 'NOT_BEGUN',
    startedAt: new Date(report.scheduledFor),
    endedAt: undefined,
    report,
  };
}

/** Runs, and among them those that never began, the newest first. What a run has itself to say counts more than what was said of it. */
export function withNeverBegun(runs: Run[], reports: RunReport[]): Run[] {
  const begun = new Set(runs.map(({ runId }) => runId));
  return [...runs, ...reports.filter(({ runId }) => !begun.has(runId)).map(neverBegun)].sort(
    (one, other) => Number(other.startedAt) - Number(one.startedAt),
  );
}
