import { LambdaClient } from '@aws-sdk/client-lambda';
import { SNSClient } from '@aws-sdk/client-sns';
import { SSMClient } from '@aws-sdk/client-ssm';
import type { Context } from 'aws-lambda';
import * as v from 'valibot';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { logger, publishReport } from '../shared/run/publish-report.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import { readSettings } from '../shared/run/settings.ts';
import { windowContaining } from '../shared/run/window.ts';
import { beginExamination, examinationRequest } from './begin-examination.ts';
import { beginRun } from './begin-run.ts';
import type { ExaminationBegun, RunningRuns, StartOutcome, StartRunSettings } from './contract.ts';
import { RunLedger } from './run-ledger.ts';
import { runningRequest, runningRuns } from './running-runs.ts';
import { readRequest, type StartRequest } from './start-request.ts';
import { reachesAnybody } from './subscriptions.ts';

const settingsSchema = v.object({
  deployment: v.string(),
  timeZone: v.string(),
  window: v.object({ from: v.string(), to: v.string() }),
  ledgerPath: v.string(),
  topicArn: v.exactOptional(v.string()),
  jobs: v.record(
    v.string(),
    v.object({
      aliasArn: v.string(),
      timeLimitSeconds: v.number(),
      longestSeconds: v.number(),
      conflictsWith: v.array(v.string()),
      waitsFor: v.exactOptional(v.array(v.string())),
      outsideWindow: v.exactOptional(v.boolean()),
    }),
  ),
}) satisfies v.GenericSchema<StartRunSettings>;

/** Parameter Store writes three times a second, of all callers of the account together. */
const PATIENT = { maxAttempts: 8, requestHandler: REQUEST_LIMITS };

const settings = readSettings(settingsSchema);
const lambda = namingErrors(new LambdaClient(PATIENT));
const sns = namingErrors(new SNSClient({ requestHandler: REQUEST_LIMITS }));
const ledger = new RunLedger(namingErrors(new SSMClient(PATIENT)), settings.ledgerPath);

/**
 * Starts a job's run once for its identity: (deployment, job, scheduled time), or the request of a start by hand.
 * A second delivery of the same one does nothing; one that must not run is reported as skipped, with the reason.
 */
export async function handler(
  event: unknown,
  { awsRequestId }: Context,
): Promise<StartOutcome | ExaminationBegun | RunningRuns> {
  const examination = examinationRequest(event);
  if (examination) return beginExamination(examination, lambda, settings, awsRequestId);
  const running = runningRequest(event);
  if (running) return runningRuns(running, { lambda, ledger, settings });
  const request = readRequest(event, settings, new Date(), awsRequestId);
  const { runId, job, scheduledFor, options } = request;

  const known = (await ledger.read()).entries.find((entry) => entry.runId === runId);
  const { window, timeLimit, isOutsideWindow, reason } = placeInTime(request, new Date());
  if (reason && !known)
    return { ...(await skip(request, reason)), ...(isOutsideWindow && { isOutsideWindow }) };
  const run: RunEvent = {
    job,
    deployment: settings.deployment,
    runId,
    scheduledFor: scheduledFor.toISOString(),
    endBy: (window && window.end < timeLimit ? window.end : timeLimit).toISOString(),
    ...(!window && { outsideWindow: true }),
    ...(settings.topicArn &&
      !(await isAnybodyTold(settings.topicArn)) && { nobodyGetsAlarmsOf: settings.topicArn }),
    ...(options && { options }),
  };
  const begun = await beginRun(run, { lambda, ledger, jobs: settings.jobs, claim: awsRequestId });
  if (begun.kind === 'in-the-way') return skip(request, begun.reason);
  const { durableExecutionArn } = begun;
  const outcome = begun.kind === 'begun' ? 'started' : 'already-started';
  logger.info(
    outcome === 'started' ? 'Started.' : 'Already started: a second delivery of the same start does nothing.',
    { run },
  );
  await tidy();
  return { runId, outcome, ...(durableExecutionArn && { durableExecutionArn }) };
}

/** Where in the downtime window the run lies, and why it must not begin, if it must not. */
function placeInTime({ target, scheduledFor, outsideWindow }: StartRequest, now: Date) {
  const window = windowContaining(scheduledFor, settings.window, settings.timeZone);
  const timeLimit = new Date(scheduledFor.getTime() + target.timeLimitSeconds * 1000);
  const isOutsideWindow = !window && !target.outsideWindow && !outsideWindow;
  const { from, to } = settings.window;
  const reason = isOutsideWindow
    ? `The time of this run, ${scheduledFor.toISOString()}, lies outside the downtime window ${from}–${to} ${settings.timeZone}.`
    : window && now >= window.end
      ? `The start came at ${now.toISOString()}, after the downtime window ended at ${window.end.toISOString()}.`
      : now >= timeLimit
        ? `The start came at ${now.toISOString()}, after the run's time limit ended at ${timeLimit.toISOString()}.`
        : undefined;
  return { window, timeLimit, isOutsideWindow, reason };
}

/** Of no account for the run: where SNS does not answer, the next start finds out. */
async function isAnybodyTold(topicArn: string): Promise<boolean> {
  try {
    return await reachesAnybody(sns, topicArn);
  } catch (error) {
    logger.warn('Whether anybody gets the alarms could not be found out.', error as Error);
    return true;
  }
}

/** Of no account for the run: the next start does it otherwise. */
async function tidy(): Promise<void> {
  try {
    await ledger.forgetOldPages(Date.now());
  } catch (error) {
    logger.warn('Old pages of the ledger of runs could not be deleted.', error as Error);
  }
}

async function skip({ job, runId, scheduledFor }: StartRequest, reason: string) {
  const now = new Date().toISOString();
  await publishReport({
    job,
    deployment: settings.deployment,
    runId,
    scheduledFor: scheduledFor.toISOString(),
    startedAt: now,
    endedAt: now,
    outcome: 'skipped',
    figures: {},
    problems: [
      {
        what: reason,
        where: settings.deployment,
        next: `Nothing was done. Start ${job} by hand when this is no longer so, or leave it to its next scheduled run, if it has a schedule.`,
      },
    ],
  });
  return { runId, outcome: 'skipped' as const, reason };
}
