import type { DurableContext } from '@aws/durable-execution-sdk-js';
import * as v from 'valibot';
import type { RunEvent } from '../../start-run/contract.ts';
import { logger, publishReport } from './publish-report.ts';
import type { RunReport } from './report.ts';
import { parseOrThrow } from './settings.ts';

/** What a job's own procedure finds out; the rest of its report is the same for every job. */
export type RunResult = Pick<RunReport, 'outcome' | 'figures' | 'problems' | 'details'>;

const runEvent = v.object({
  job: v.string(),
  deployment: v.string(),
  runId: v.string(),
  scheduledFor: v.pipe(v.string(), v.isoTimestamp()),
  endBy: v.pipe(v.string(), v.isoTimestamp()),
  outsideWindow: v.exactOptional(v.boolean()),
  options: v.exactOptional(v.record(v.string(), v.unknown())),
}) satisfies v.GenericSchema<RunEvent>;

/**
 * Plays one run of a job inside a durable execution, and ends it with its report, whatever happens:
 * an error thrown by the procedure becomes a report with the outcome `failed`.
 */
export async function runJob(
  event: unknown,
  context: DurableContext,
  procedure: (run: RunEvent, context: DurableContext) => Promise<RunResult>,
): Promise<RunReport> {
  context.configureLogger({ customLogger: logger });
  const run = parseOrThrow(runEvent, event, 'The event of this run');
  const startedAt = await context.step('start', async () => new Date().toISOString());
  const result = await resultOf(run, procedure(run, context));
  return context.step('report', async () => {
    const { runId, job, deployment, scheduledFor } = run;
    const endedAt = new Date().toISOString();
    const report: RunReport = { job, deployment, runId, scheduledFor, startedAt, endedAt, ...result };
    await publishReport(report);
    return report;
  });
}

async function resultOf(run: RunEvent, running: Promise<RunResult>): Promise<RunResult> {
  try {
    return await running;
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    const next = `Mend the cause, then start ${run.job} by hand, or wait for its next scheduled run, if it has a schedule.`;
    return { outcome: 'failed', figures: {}, problems: [{ what, where: run.deployment, next }] };
  }
}
