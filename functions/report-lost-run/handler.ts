import * as v from 'valibot';
import { identityOf } from '../shared/run/identity.ts';
import { publishMetrics } from '../shared/run/publish-metrics.ts';
import { logger, publishReport } from '../shared/run/publish-report.ts';
import {
  GIVEN_UP_UNTOLD_METRIC,
  LOST_METRIC,
  LOST_TOLD_METRIC,
  OUTCOME_METRICS,
  REPORT_EVENT_TYPE,
} from '../shared/run/report.ts';
import { parseOrThrow, readSettings } from '../shared/run/settings.ts';
import type { DurableExecutionStatusChange, GivenUpRun, ReportLostRunSettings } from './contract.ts';
import { crashesTold, toldElsewhere } from './told-elsewhere.ts';

const settingsSchema = v.object({
  deployment: v.string(),
  jobs: v.array(v.string()),
}) satisfies v.GenericSchema<ReportLostRunSettings>;

const eventSchema = v.object({
  time: v.string(),
  detail: v.object({
    durableExecutionArn: v.string(),
    durableExecutionName: v.string(),
    functionArn: v.string(),
    status: v.picklist(['FAILED', 'TIMED_OUT', 'STOPPED']),
    startTimestamp: v.exactOptional(v.string()),
  }),
}) satisfies v.GenericSchema<DurableExecutionStatusChange>;

const givenUpSchema = v.object({
  'detail-type': v.literal(REPORT_EVENT_TYPE),
  detail: v.object({
    job: v.string(),
    deployment: v.string(),
    runId: v.string(),
    details: v.exactOptional(v.object({ failedSince: v.exactOptional(v.string()) })),
  }),
}) satisfies v.GenericSchema<GivenUpRun>;

const WHAT_HAPPENED = {
  FAILED: 'failed before its report was complete',
  TIMED_OUT: 'was ended by Lambda at its execution timeout',
  STOPPED: 'was stopped by somebody',
};

const settings = readSettings(settingsSchema);

/**
 * Reports a run that ended without a report of its own: a job always succeeds for Lambda once it has reported. Of one that gave
 * up, and reported that, it says whether anybody was told.
 */
export async function handler(event: unknown): Promise<void> {
  if (v.is(givenUpSchema, event)) return lookAfterGivenUp(event.detail);
  const { time, detail } = parseOrThrow(eventSchema, event, "Lambda's status change event");
  const endedAt = new Date(time).toISOString();
  // The name is whatever a caller has given the execution: the function tells what ran.
  const job = jobOf(detail.functionArn);
  // Of a deployment whose name begins like this one's.
  if (!settings.jobs.includes(job)) return;
  const identity = identityOf(detail.durableExecutionName, settings.deployment);
  const startedAt = detail.startTimestamp && new Date(detail.startTimestamp).toISOString();
  const scheduledFor = (identity?.job === job ? identity.scheduledFor : undefined) ?? startedAt ?? endedAt;
  const { deployment } = settings;
  const isTold = await toldElsewhere(
    {
      durableExecutionArn: detail.durableExecutionArn,
      startedAt: startedAt === undefined ? undefined : new Date(startedAt),
    },
    `${deployment}-${job}-crashing`,
  );
  await publishReport(
    {
      job,
      deployment,
      runId: detail.durableExecutionName,
      scheduledFor,
      startedAt: startedAt ?? scheduledFor,
      endedAt,
      outcome: 'failed',
      figures: {},
      problems: [
        {
          what: `The run ${WHAT_HAPPENED[detail.status]}; what it had done until then is in its history.`,
          where: `${deployment}, durable execution ${detail.durableExecutionArn}`,
          next: `Look at the execution in Lambda's console and at the function's log, mend the cause, then start ${job} by hand.`,
        },
      ],
    },
    { [LOST_METRIC]: 1, [LOST_TOLD_METRIC]: isTold ? 1 : 0 },
  );
}

/**
 * A run that gives up is told by the alarm on crashes, where that rang for its tries and told somebody: not where they were too few
 * for it, nor where it was on already because of another run, or had its actions switched off.
 */
async function lookAfterGivenUp({ job, deployment, runId, details }: GivenUpRun['detail']): Promise<void> {
  const since = details?.failedSince;
  const alarm = `${deployment}-${job}-crashing`;
  const isTold = since !== undefined && (await crashesTold(new Date(since), alarm));
  logger.info(isTold ? 'The alarm on crashes has told of it.' : 'No alarm has told of it yet.', { runId });
  if (isTold) return;
  // With a value of its runs, so that the alarm on failed ones has one to reckon with in this period.
  publishMetrics({ deployment, job }, { [OUTCOME_METRICS.failed]: 0, [GIVEN_UP_UNTOLD_METRIC]: 1 });
}

function jobOf(functionArn: string): string {
  const name = functionArn.split(':')[6] ?? '';
  return name.startsWith(`${settings.deployment}-`) ? name.slice(settings.deployment.length + 1) : name;
}
