import * as v from 'valibot';
import { identityOf } from '../shared/run/identity.ts';
import { publishMetrics } from '../shared/run/publish-metrics.ts';
import { logger, publishReport } from '../shared/run/publish-report.ts';
import {
  crashingAlarmName,
  deadLettersName,
  LOST_METRIC,
  LOST_TOLD_METRIC,
  OUTCOME_METRICS,
  REPORT_EVENT_TYPE,
  type RunReport,
  startLettersNames,
  toldElsewhereAs,
  UNTOLD_METRICS,
} from '../shared/run/report.ts';
import { parseOrThrow, readSettings } from '../shared/run/settings.ts';
import {
  ALARM_EVENT_TYPE,
  type DurableExecutionStatusChange,
  type LettersForgotten,
  type ReportLostRunSettings,
  type RunToldElsewhere,
} from './contract.ts';
import { reportStarts } from './report-starts.ts';
import { deleteLetter, forgottenLetters, type Letter, takeLetter } from './take-letter.ts';
import { haveTold, toldElsewhere } from './told-elsewhere.ts';

const settingsSchema = v.object({
  deployment: v.string(),
  jobs: v.array(v.string()),
  queues: v.string(),
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

const reportSchema = v.object({
  'detail-type': v.literal(REPORT_EVENT_TYPE),
  detail: v.object({
    job: v.string(),
    deployment: v.string(),
    runId: v.string(),
    startedAt: v.string(),
    outcome: v.picklist(['succeeded', 'partial', 'failed', 'skipped']),
    problems: v.array(
      v.object({
        toldBy: v.exactOptional(v.object({ alarm: v.string(), since: v.exactOptional(v.string()) })),
      }),
    ),
  }),
}) satisfies v.GenericSchema<RunToldElsewhere>;

const lettersSchema = v.object({
  'detail-type': v.literal(ALARM_EVENT_TYPE),
  detail: v.object({ alarmName: v.string() }),
}) satisfies v.GenericSchema<LettersForgotten>;

const WHAT_HAPPENED = {
  FAILED: 'failed before its report was complete',
  TIMED_OUT: 'was ended by Lambda at its execution timeout',
  STOPPED: 'was stopped by somebody',
};

const settings = readSettings(settingsSchema);

/**
 * Reports a run that ended without a report of its own: a job always succeeds for Lambda once it has reported. Of one whose
 * problems other alarms tell, it says whether anybody was told. And
 * it reports those of which nothing but a letter in the dead letters is left, once the alarm on these has rung: also of a start that
 * failed.
 */
export async function handler(event: unknown): Promise<void> {
  if (v.is(reportSchema, event)) return lookWhetherTold(event.detail);
  if (v.is(lettersSchema, event)) {
    const { alarmName } = event.detail;
    const isOfStarts = Object.values(startLettersNames(settings.deployment)).includes(alarmName);
    return isOfStarts ? reportStarts(alarmName, settings) : reportLetters(alarmName);
  }
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
    crashingAlarmName(deployment, job),
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
  // Told by now: what is left in the queue nobody has told of.
  await takeLetter(`${settings.queues}/${deadLettersName(deployment, job)}`, detail.durableExecutionName);
}

/**
 * The alarm on failed runs, or on partial ones, does not ring for a run all of whose problems other alarms tell. It does after all
 * where one of these did not ring, was on already because of something else, or had its actions switched off.
 */
async function lookWhetherTold(report: RunToldElsewhere['detail']): Promise<void> {
  const { deployment, job, runId, startedAt } = report;
  const outcome = toldElsewhereAs(report);
  if (!outcome) return;
  const told = report.problems.flatMap(({ toldBy }) =>
    toldBy ? { alarm: toldBy.alarm, since: new Date(toldBy.since ?? startedAt) } : [],
  );
  const isTold = await haveTold(told);
  logger.info(isTold ? 'Other alarms have told of it.' : 'No other alarm has told of all of it.', { runId });
  if (isTold) return;
  // With a value of its runs, so that the alarm on them has one to reckon with in this period.
  publishMetrics({ deployment, job }, { [OUTCOME_METRICS[outcome]]: 0, [UNTOLD_METRICS[outcome]]: 1 });
}

/**
 * Reports the runs whose letters nobody has taken, and takes them: so the alarm, which is on while any lies there, goes off, and rings
 * anew for the next one. Of a letter that came while it was on already, the alarm on lost runs tells.
 */
async function reportLetters(alarm: string): Promise<void> {
  const { deployment, jobs, queues } = settings;
  const job = jobs.find((each) => deadLettersName(deployment, each) === alarm);
  if (job === undefined) return;
  const letters = await forgottenLetters(`${queues}/${alarm}`, Date.now());
  await Promise.all(
    letters.map(async (letter) => {
      // The long poll that brought no more has taken seconds: what the alarm did is in its history by now.
      const isTold = await haveTold([{ alarm, since: letter.sentAt }]);
      await publishReport(reportOf(letter, { deployment, job, queue: alarm }), {
        [LOST_METRIC]: 1,
        [LOST_TOLD_METRIC]: isTold ? 1 : 0,
      });
      await deleteLetter(letter);
    }),
  );
}

function reportOf(
  { messageId, sentAt, event }: Letter,
  { deployment, job, queue }: { deployment: string; job: string; queue: string },
): RunReport {
  const { runId, scheduledFor } = event;
  const isOfRun = typeof runId === 'string';
  const name = isOfRun ? runId : `${deployment}-${job}-letter-${messageId}`;
  const isTime = typeof scheduledFor === 'string' && !Number.isNaN(Date.parse(scheduledFor));
  const sent = sentAt.toISOString();
  return {
    job,
    deployment,
    runId: name,
    scheduledFor: isTime ? scheduledFor : sent,
    startedAt: isTime ? scheduledFor : sent,
    endedAt: sent,
    outcome: 'failed',
    figures: {},
    problems: [
      {
        what: isOfRun
          ? `Lambda could not begin the run, or not bring it to its end, and nothing had told of it: its event came into the dead letters at ${sent}.`
          : `A message that is no run's event came into the dead letters at ${sent}.`,
        where: `${deployment}, queue ${queue}`,
        next: isOfRun
          ? `See whether the Lambda console has ${name} among the durable executions of ${deployment}-${job}: if so, what ended it; if not, Lambda had no room for it: look at the concurrency of the account and of the function. Mend that, then start ${job} by hand.`
          : 'See who sends messages there. It was taken out, and is gone.',
      },
    ],
    details: { event },
  };
}

function jobOf(functionArn: string): string {
  const name = functionArn.split(':')[6] ?? '';
  return name.startsWith(`${settings.deployment}-`) ? name.slice(settings.deployment.length + 1) : name;
}
