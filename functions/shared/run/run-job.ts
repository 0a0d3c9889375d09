import type { DurableContext } from '@aws/durable-execution-sdk-js';
import * as v from 'valibot';
import { type Examination, examined, isExamination, type Look } from './examination.ts';
import { type FailedInvocations, failedInvocations } from './failed-invocations.ts';
import { logger, sendReport, tellReport } from './publish-report.ts';
import { recordableReport } from './recordable.ts';
import {
  crashingAlarmName,
  GIVEN_UP_FIGURE,
  type Problem,
  type RunReport,
  TOLD_METRICS,
  toldElsewhereAs,
} from './report.ts';
import type { RunEvent } from './run-event.ts';
import { parseOrThrow } from './settings.ts';
import { tellOnce } from './tell-once.ts';
import { insideInvocations } from './time-left.ts';

export type { Examination, ExaminationFinding, Look } from './examination.ts';
export type { Outcome, Problem, RunReport, ToldBy } from './report.ts';
export type { OtherRun, RunEvent } from './run-event.ts';

/** What a job's own procedure finds out; the rest of its report is the same for every job. */
export type RunResult = Pick<RunReport, 'outcome' | 'figures' | 'problems' | 'details'>;

/** What a job does in a run: all that changes anything in durable steps, and what came of it as its result. */
export type Procedure = (run: RunEvent, context: DurableContext) => Promise<RunResult>;

/** With an offset that Date understands too: one that is no time is never past. */
const time = v.pipe(
  v.string(),
  v.isoTimestamp(),
  v.check((text) => !Number.isNaN(Date.parse(text)), 'an ISO 8601 time in UTC'),
);

const runEvent = v.object({
  job: v.string(),
  deployment: v.string(),
  runId: v.string(),
  scheduledFor: time,
  endBy: time,
  outsideWindow: v.exactOptional(v.boolean()),
  runsToWaitFor: v.exactOptional(
    v.array(v.object({ job: v.string(), runId: v.string(), durableExecutionArn: v.string() })),
  ),
  nobodyGetsAlarmsOf: v.exactOptional(v.string()),
  options: v.exactOptional(v.record(v.string(), v.unknown())),
}) satisfies v.GenericSchema<RunEvent>;

/**
 * Plays one run of a job inside a durable execution, and ends it with its report, whatever happens:
 * an error thrown by the procedure becomes a report with the outcome `failed`. A run that begins when it should have ended
 * does nothing, whatever started it. No operation of a run is cut by Lambda's timeout. A run whose invocations end by force three times in a row without getting further gives up.
 *
 * @param procedure works with the context that it is given, not with the one around it: all that it does stands in that.
 * @param look what `wa-upkeep doctor` has looked at with the function's rights and from its place, in no run at all. It changes
 *   nothing, and works with the context that it is given too. @default nothing
 * @param dryRun takes the procedure's place in a run that a person starts with the option `dryRun: true`: it changes nothing, and says
 *   what the procedure would do. Such a run is skipped, whatever outcome it gives, so that no alarm takes it for the one that is due.
 *   @default such a run does nothing, and says that the job has no dry run
 */
export async function runJob(
  event: unknown,
  durableContext: DurableContext,
  procedure: Procedure,
  look: Look = async () => [],
  dryRun: Procedure = noDryRun,
): Promise<RunReport | Examination> {
  durableContext.configureLogger({ customLogger: logger });
  const context = insideInvocations(durableContext);
  if (isExamination(event)) return examined(context, look);
  const run = parseOrThrow(runEvent, event, 'The event of this run');
  // A process may have had another run before.
  logger.appendKeys({ runId: run.runId });
  let isFirst = false;
  const startedAt = await context.step('start', async () => {
    isFirst = true;
    return new Date().toISOString();
  });
  const failed = isFirst ? undefined : await failedInvocations(context.executionContext.durableExecutionArn);
  const isTooLate = Date.parse(startedAt) >= Date.parse(run.endBy);
  let isReplayed = true;
  // In a context of its own, so that what a run that is given up had begun does not stand before its report.
  const result = await context.runInChildContext('run', async (child) => {
    isReplayed = false;
    if (failed && failed.count >= MOST_FAILED_INVOCATIONS) return givenUp(run, failed);
    if (isTooLate) return tooLate(run, startedAt);
    if (run.options?.dryRun !== true) return resultOf(run, () => procedure(run, child));
    return resultOf(run, () => skipped(dryRun, run, child));
  });
  // It ends where it cannot even report: report-lost-run does it then.
  if (isReplayed && failed && failed.count >= MOST_FAILED_REPORTS)
    throw new Error(
      `The run ended, and could not report it: ${failed.count} invocations in a row were ended meanwhile, the last one by ${failed.error}.`,
    );
  const report = await context.step('report', async () => {
    const { runId, job, deployment, scheduledFor } = run;
    const endedAt = new Date().toISOString();
    const whole: RunReport = { job, deployment, runId, scheduledFor, startedAt, endedAt, ...result };
    if (run.outsideWindow) whole.details = { ...result.details, outsideWindow: true };
    if (run.nobodyGetsAlarmsOf)
      whole.problems = [...result.problems, nobodyGetsAlarms(run, run.nobodyGetsAlarmsOf)];
    return recordableReport(whole);
  });
  const told = toldElsewhereAs(report);
  await tellOnce(context, 'tell', (at) => tellReport(report, told && { [TOLD_METRICS[told]]: 1 }, at));
  // Other alarms tell of it. report-lost-run, which gets the event, finds out whether they have: not before they have looked.
  if (told) await context.wait('other alarms', { seconds: TOLD_WITHIN_SECONDS });
  // By itself, so that a bus which does not take it is tried again, and nothing else is told twice.
  await context.step('report event', () => sendReport(report));
  return report;
}

/** Metrics come within three minutes or so, and an alarm looks each minute. */
const TOLD_WITHIN_SECONDS = 300;

function nobodyGetsAlarms({ deployment }: RunEvent, topicArn: string): Problem {
  return {
    what: 'Nobody gets the alarms: no subscription of their topic is confirmed.',
    where: `${deployment}, topic ${topicArn}`,
    next: 'Have the addressees confirm the mail that SNS sent them (SNS console, "Request confirmation", sends it anew), then try the chain as docs/operations.md says.',
  };
}

/**
 * Lambda repeats an invocation that crashes or times out until the execution's own timeout, hours later, in which the run would
 * keep others from theirs.
 */
const MOST_FAILED_INVOCATIONS = 3;

/** Fewer than the alarm on crashes needs: of a run that cannot report the alarm on lost runs tells, and no other. */
const MOST_FAILED_REPORTS = 4;

function givenUp(
  { job, deployment, runId }: RunEvent,
  { count, error, since }: FailedInvocations,
): RunResult {
  return {
    outcome: 'failed',
    figures: { [GIVEN_UP_FIGURE]: count },
    problems: [
      {
        what: `The run gave up: ${count} invocations in a row were ended without getting further, the last one by ${error}.`,
        where: `${deployment}, ${runId}`,
        next: `What it did before stands. Look in the log /aws/lambda/${deployment}-${job} and in the run's history for the step in which it ends (memory? time?), mend the cause, then start ${job} by hand or leave it to its next run.`,
        ...(since && { toldBy: { alarm: crashingAlarmName(deployment, job), since: since.toISOString() } }),
      },
    ],
  };
}

function tooLate({ job, deployment, endBy }: RunEvent, startedAt: string): RunResult {
  return {
    outcome: 'skipped',
    figures: {},
    problems: [
      {
        what: `The run began at ${startedAt}, when it had to have ended: at ${endBy}.`,
        where: deployment,
        next: `Nothing was done. Leave ${job} to its next scheduled run, or start it by hand. What held the start up: Lambda's concurrency, or who called the job past start-run?`,
      },
    ],
  };
}

async function skipped(dryRun: Procedure, run: RunEvent, context: DurableContext): Promise<RunResult> {
  return { ...(await dryRun(run, context)), outcome: 'skipped' };
}

async function noDryRun({ job, deployment }: RunEvent): Promise<RunResult> {
  return {
    outcome: 'skipped',
    figures: {},
    problems: [
      {
        what: `${job} has no dry run: nothing was done.`,
        where: deployment,
        next: 'Start it without dryRun.',
      },
    ],
  };
}

async function resultOf(run: RunEvent, procedure: () => Promise<RunResult>): Promise<RunResult> {
  try {
    return await procedure();
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    const next = `Mend the cause, then start ${run.job} by hand, or wait for its next scheduled run, if it has a schedule.`;
    return { outcome: 'failed', figures: {}, problems: [{ what, where: run.deployment, next }] };
  }
}
