import * as v from 'valibot';
import { identityOf } from '../shared/run/identity.ts';
import { publishMetrics } from '../shared/run/publish-metrics.ts';
import { publishReport } from '../shared/run/publish-report.ts';
import { LETTER_EXPECTED_METRIC, LOST_IN_CRASHES_METRIC, LOST_METRIC } from '../shared/run/report.ts';
import { parseOrThrow, readSettings } from '../shared/run/settings.ts';
import type { DurableExecutionStatusChange, ReportLostRunSettings } from './contract.ts';
import { toldByCrashes } from './told-by-crashes.ts';

const settingsSchema = v.object({ deployment: v.string() }) satisfies v.GenericSchema<ReportLostRunSettings>;

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

const WHAT_HAPPENED = {
  FAILED: 'failed before its report was complete',
  TIMED_OUT: 'was ended by Lambda at its execution timeout',
  STOPPED: 'was stopped by somebody',
};

const settings = readSettings(settingsSchema);

const MINUTE_MS = 60_000;
/**
 * From the minute in which the run ended: those in which its dead letter may be counted, for Lambda sends it then, and SQS counts
 * by its own clock. As many as the alarm's window has: some window then has both this letter and another that comes in them.
 */
const LETTER_MINUTES = [-1, 0, 1, 2, 3];

/** Reports a run that ended without a report of its own: a job always succeeds for Lambda once it has reported. */
export async function handler(event: unknown): Promise<void> {
  const { time, detail } = parseOrThrow(eventSchema, event, "Lambda's status change event");
  const endedAt = new Date(time).toISOString();
  const identity = identityOf(detail.durableExecutionName, settings.deployment);
  const job = identity?.job ?? jobOf(detail.functionArn);
  const startedAt = detail.startTimestamp && new Date(detail.startTimestamp).toISOString();
  const scheduledFor = identity?.scheduledFor ?? startedAt ?? endedAt;
  const { deployment } = settings;
  const inCrashes = await toldByCrashes(detail.durableExecutionArn, `${deployment}-${job}-crashing`);
  // Before the bus is waited for, which may take longer than this function has.
  for (const minute of LETTER_MINUTES)
    publishMetrics(
      { deployment, job },
      { [LETTER_EXPECTED_METRIC]: 1 },
      {},
      new Date(Date.parse(time) + minute * MINUTE_MS),
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
    { [LOST_METRIC]: 1, [LOST_IN_CRASHES_METRIC]: inCrashes ? 1 : 0 },
    // Beside the run's dead letter, however late this is: no letter that comes with the report is taken for the run's.
    new Date(time),
  );
}

function jobOf(functionArn: string): string {
  const name = functionArn.split(':')[6] ?? '';
  return name.startsWith(`${settings.deployment}-`) ? name.slice(settings.deployment.length + 1) : name;
}
