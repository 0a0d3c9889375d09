import {
  DurableExecutionAlreadyStartedException,
  InvokeCommand,
  LambdaClient,
  paginateListDurableExecutionsByFunction,
} from '@aws-sdk/client-lambda';
import * as v from 'valibot';
import { identityOf, runIdOf } from '../shared/run/identity.ts';
import { logger, publishReport } from '../shared/run/publish-report.ts';
import { parseOrThrow, readSettings } from '../shared/run/settings.ts';
import { windowContaining } from '../shared/run/window.ts';
import type { JobTarget, RunEvent, StartOutcome, StartRunEvent, StartRunSettings } from './contract.ts';

const settingsSchema = v.object({
  deployment: v.string(),
  timeZone: v.string(),
  window: v.object({ from: v.string(), to: v.string() }),
  jobs: v.record(
    v.string(),
    v.object({
      aliasArn: v.string(),
      timeLimitSeconds: v.number(),
      conflictsWith: v.array(v.string()),
      outsideWindow: v.exactOptional(v.boolean()),
    }),
  ),
}) satisfies v.GenericSchema<StartRunSettings>;

const eventSchema = v.object({
  job: v.string(),
  deployment: v.string(),
  scheduledFor: v.exactOptional(
    v.pipe(
      v.string(),
      v.check((text) => !Number.isNaN(Date.parse(text)), 'an ISO 8601 time'),
    ),
  ),
  options: v.exactOptional(v.record(v.string(), v.unknown())),
}) satisfies v.GenericSchema<StartRunEvent>;

const lambda = new LambdaClient({});
const settings = readSettings(settingsSchema);

/**
 * Starts a job's run once for its identity: (deployment, job, scheduled time).
 * A second delivery of the same one does nothing; one that must not run is reported as skipped, with the reason.
 */
export async function handler(event: unknown): Promise<StartOutcome> {
  const {
    job,
    deployment,
    scheduledFor = new Date().toISOString(),
    options,
  } = parseOrThrow(eventSchema, event, 'The event for start-run');
  const target = settings.jobs[job];
  if (deployment !== settings.deployment || !target)
    throw new Error(
      `This start-run starts ${Object.keys(settings.jobs).join(', ')} of ${settings.deployment}, not ${job} of ${deployment}. Correct the event's "job" and "deployment".`,
    );

  const scheduled = new Date(scheduledFor);
  const runId = runIdOf(deployment, job, scheduled);
  if (await wasStarted(target, runId)) {
    logger.info('Already started: a second delivery of the same scheduled time does nothing.', { runId });
    return { runId, outcome: 'already-started' };
  }

  const window = windowContaining(scheduled, settings.window, settings.timeZone);
  const timeLimit = new Date(scheduled.getTime() + target.timeLimitSeconds * 1000);
  const reason =
    reasonToSkip(target, window, timeLimit, new Date()) ?? (await conflictingRun(job, target, runId));
  if (reason) return skip({ job, runId, scheduled, reason });

  return start(target, {
    job,
    deployment,
    runId,
    scheduledFor: scheduled.toISOString(),
    endBy: (window && window.end < timeLimit ? window.end : timeLimit).toISOString(),
    ...(!window && { outsideWindow: true }),
    ...(options && { options }),
  });
}

async function wasStarted({ aliasArn }: JobTarget, runId: string): Promise<boolean> {
  const executions = await executionsOf(aliasArn, { DurableExecutionName: runId });
  return executions.includes(runId);
}

function reasonToSkip(
  { outsideWindow = false }: JobTarget,
  window: { end: Date } | undefined,
  timeLimit: Date,
  now: Date,
): string | undefined {
  const { from, to } = settings.window;
  if (!window && !outsideWindow)
    return `The scheduled time lies outside the downtime window ${from}–${to} ${settings.timeZone}.`;
  if (window && now >= window.end)
    return `The start came at ${now.toISOString()}, after the downtime window ended at ${window.end.toISOString()}.`;
  if (now >= timeLimit)
    return `The start came at ${now.toISOString()}, after the run's time limit ended at ${timeLimit.toISOString()}.`;
  return undefined;
}

async function conflictingRun(job: string, target: JobTarget, runId: string): Promise<string | undefined> {
  for (const other of [job, ...target.conflictsWith]) {
    const { aliasArn } = settings.jobs[other] ?? {};
    if (!aliasArn) continue;
    const running = await executionsOf(aliasArn, { Statuses: ['RUNNING'] });
    const conflicting = running.find((name) => name !== runId && identityOf(name, settings.deployment));
    if (conflicting) return `The run ${conflicting} is still going on, and ${job} must not run beside it.`;
  }
  return undefined;
}

async function executionsOf(
  aliasArn: string,
  filter: { DurableExecutionName?: string; Statuses?: ['RUNNING'] },
): Promise<string[]> {
  const names: string[] = [];
  // Without a qualifier: a run begun before a deploy goes on under the version that it began with.
  const FunctionName = aliasArn.split(':').slice(0, -1).join(':');
  for await (const page of paginateListDurableExecutionsByFunction(
    { client: lambda },
    { FunctionName, ...filter },
  ))
    names.push(
      ...(page.DurableExecutions ?? []).flatMap((execution) => execution.DurableExecutionName ?? []),
    );
  return names;
}

async function start({ aliasArn }: JobTarget, run: RunEvent): Promise<StartOutcome> {
  let durableExecutionArn: string | undefined;
  try {
    const started = await lambda.send(
      new InvokeCommand({
        FunctionName: aliasArn,
        InvocationType: 'Event',
        DurableExecutionName: run.runId,
        Payload: JSON.stringify(run),
      }),
    );
    durableExecutionArn = started.DurableExecutionArn;
  } catch (error) {
    if (!(error instanceof DurableExecutionAlreadyStartedException)) throw error;
    return { runId: run.runId, outcome: 'already-started' };
  }
  logger.info('Started.', { run });
  return { runId: run.runId, outcome: 'started', ...(durableExecutionArn && { durableExecutionArn }) };
}

async function skip(run: {
  job: string;
  runId: string;
  scheduled: Date;
  reason: string;
}): Promise<StartOutcome> {
  const now = new Date().toISOString();
  await publishReport({
    job: run.job,
    deployment: settings.deployment,
    runId: run.runId,
    scheduledFor: run.scheduled.toISOString(),
    startedAt: now,
    endedAt: now,
    outcome: 'skipped',
    figures: {},
    problems: [
      {
        what: run.reason,
        where: settings.deployment,
        next: `Nothing was done. Start ${run.job} by hand when this is no longer so, or leave it to its next scheduled run, if it has a schedule.`,
      },
    ],
  });
  return { runId: run.runId, outcome: 'skipped', reason: run.reason };
}
