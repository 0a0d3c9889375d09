import { Logger } from '@aws-lambda-powertools/logger';
import { MetricUnit } from '@aws-lambda-powertools/metrics';
import { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { namingErrors } from './naming-errors.ts';
import { publishMetrics } from './publish-metrics.ts';
import {
  DURATION_METRIC,
  LOST_METRIC,
  OUTCOME_METRICS,
  type Outcome,
  REPORT_EVENT_SOURCE,
  REPORT_EVENT_TYPE,
  type RunReport,
} from './report.ts';
import { REQUEST_LIMITS } from './request-limits.ts';

/** The log of every function: JSON lines, the function's name as service. */
export const logger = new Logger({ serviceName: process.env.AWS_LAMBDA_FUNCTION_NAME ?? 'upkeep' });

const eventBridge = namingErrors(new EventBridgeClient({ maxAttempts: 6, requestHandler: REQUEST_LIMITS }));

/**
 * Tells of a run in the function's log: one line, and its metrics (embedded metric format). Neither can fail.
 * @param extraMetrics counts that are no figures of the report, by metric name.
 * @param at of when the metrics are: at most 14 days ago. @default now
 */
export function tellReport(report: RunReport, extraMetrics: Record<string, number> = {}, at?: Date): void {
  logger.info('Run report', { report });
  const { deployment, job } = report;
  publishMetrics({ deployment, job }, metricsOf(report, extraMetrics), UNITS, at);
}

/**
 * Tells of a run by an event on the default bus.
 * @throws Error if the bus did not take it.
 */
export async function sendReport(report: RunReport): Promise<void> {
  const { Entries: entries } = await eventBridge.send(
    new PutEventsCommand({
      Entries: [
        { Source: REPORT_EVENT_SOURCE, DetailType: REPORT_EVENT_TYPE, Detail: JSON.stringify(report) },
      ],
    }),
  );
  const refused = entries?.find((entry) => entry.ErrorCode);
  if (refused)
    throw new Error(
      `EventBridge refused the report of ${report.runId}: ${refused.ErrorCode} ${refused.ErrorMessage}`,
    );
}

/**
 * Tells of a run, each part once, for a function that Lambda would otherwise repeat as a whole: what the bus does not take is
 * in the log and the metrics nonetheless, and the log says that it did not.
 */
export async function publishReport(report: RunReport, extraMetrics?: Record<string, number>): Promise<void> {
  tellReport(report, extraMetrics);
  try {
    await sendReport(report);
  } catch (error) {
    logger.error("The report's event could not be put on the default bus.", error as Error);
  }
}

function metricsOf(report: RunReport, extraMetrics: Record<string, number>): Record<string, number> {
  const outcomes = Object.entries(OUTCOME_METRICS) as [Outcome, string][];
  return {
    ...Object.fromEntries(outcomes.map(([outcome, name]) => [name, report.outcome === outcome ? 1 : 0])),
    [LOST_METRIC]: 0,
    [DURATION_METRIC]: (Date.parse(report.endedAt) - Date.parse(report.startedAt)) / 1000,
    ...report.figures,
    ...extraMetrics,
  };
}

const UNITS = {
  ...Object.fromEntries(Object.values(OUTCOME_METRICS).map((name) => [name, MetricUnit.Count])),
  [LOST_METRIC]: MetricUnit.Count,
  [DURATION_METRIC]: MetricUnit.Seconds,
};
