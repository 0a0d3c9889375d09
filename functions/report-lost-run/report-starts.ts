import { LambdaClient } from '@aws-sdk/client-lambda';
import * as v from 'valibot';
import { executionsOf } from '../shared/run/executions.ts';
import { type Occasion, runIdOf } from '../shared/run/identity.ts';
import { isObject } from '../shared/run/is-object.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { logger, publishReport } from '../shared/run/publish-report.ts';
import { LOST_METRIC, LOST_TOLD_METRIC, type RunReport } from '../shared/run/report.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { ReportLostRunSettings } from './contract.ts';
import { deleteLetter, everyLetter, type Letter } from './take-letter.ts';
import { haveTold } from './told-elsewhere.ts';

const lambda = namingErrors(new LambdaClient({ requestHandler: REQUEST_LIMITS }));

/** Longer than this function takes: what it does not delete, because it died, is there again for its repetition. */
const HIDDEN_SECONDS = 60;

/** Of a text from outside, in a report. */
const SHOWN_CHARACTERS = 400;

/** What Scheduler says of a start that it could not hand over. */
const SCHEDULER_ATTRIBUTES = ['ERROR_CODE', 'ERROR_MESSAGE'];

const startSchema = v.object({
  job: v.string(),
  deployment: v.string(),
  scheduledFor: v.exactOptional(v.pipe(v.string(), v.isoTimestamp())),
  request: v.exactOptional(v.string()),
});

/** A start that failed, of a job of the deployment. */
interface FailedStart {
  letter: Letter;
  event: object;
  job: string;
  runId: string;
  scheduledFor: string;
  cause: string;
  /** It came as far as start-run, which may have written it down before it failed. */
  isInLedgerPerhaps: boolean;
}

/**
 * Reports the runs of which nothing but a failed start is left, and takes their letters: each is then a run that failed, for whoever
 * looks for one that came, and the alarm on these letters has told of it. Of a letter that came while it was on already, the alarm on
 * lost runs tells. What is no start of a job of the deployment stays.
 * @param queue its name, and its alarm's.
 */
export async function reportStarts(queue: string, settings: ReportLostRunSettings): Promise<void> {
  const letters = await everyLetter(`${settings.queues}/${queue}`, HIDDEN_SECONDS, SCHEDULER_ATTRIBUTES);
  await Promise.all(
    letters.map(async (letter) => {
      const start = startOf(letter, settings);
      if (!start) {
        logger.warn('A message that is no start of a job stays in the queue.', {
          queue,
          id: letter.messageId,
        });
        return;
      }
      if (await isBegun(start, settings)) logger.info('The run began all the same.', { runId: start.runId });
      else {
        const isTold = await haveTold([{ alarm: queue, since: letter.sentAt }]);
        await publishReport(reportOf(start, settings.deployment, queue), {
          [LOST_METRIC]: 1,
          [LOST_TOLD_METRIC]: isTold ? 1 : 0,
        });
      }
      await deleteLetter(letter);
    }),
  );
}

/** What start-run sends in case of failure is the event, with more about it (`requestPayload`); what Scheduler sends is the event itself. */
function startOf(letter: Letter, { deployment, jobs }: ReportLostRunSettings): FailedStart | undefined {
  const { requestPayload, requestContext, responsePayload } = letter.event;
  const isOfLambda = isObject(requestPayload);
  const event = isOfLambda ? requestPayload : letter.event;
  if (!v.is(startSchema, event)) return undefined;
  const { job, scheduledFor, request } = event;
  if (event.deployment !== deployment || !jobs.includes(job)) return undefined;
  const context = isObject(requestContext) ? requestContext : {};
  const occasion: Occasion = scheduledFor
    ? { scheduledFor: new Date(scheduledFor) }
    : { request: request ?? String(context.requestId) };
  return {
    letter,
    event,
    job,
    runId: runIdOf(deployment, job, occasion),
    scheduledFor: (scheduledFor ? new Date(scheduledFor) : letter.sentAt).toISOString(),
    isInLedgerPerhaps: isOfLambda,
    cause: shown(isOfLambda ? causeOf(responsePayload, context) : schedulersCause(letter)),
  };
}

function causeOf(error: unknown, { condition }: Record<string, unknown>): string {
  const { errorType, errorMessage } = isObject(error) ? error : {};
  return [condition, errorType, errorMessage].filter((part) => typeof part === 'string').join(', ');
}

function schedulersCause({ attributes }: Letter): string {
  return SCHEDULER_ATTRIBUTES.flatMap((name) => attributes[name] ?? []).join(', ');
}

/** start-run may have begun it, and failed after that. Where nobody can say, it did not. */
async function isBegun({ job, runId }: FailedStart, { deployment }: ReportLostRunSettings): Promise<boolean> {
  try {
    const runs = await executionsOf(lambda, `${deployment}-${job}`, { DurableExecutionName: runId });
    return runs.some(({ DurableExecutionName: name }) => name === runId);
  } catch (error) {
    logger.warn('Whether the run began could not be found out.', error as Error);
    return false;
  }
}

function reportOf(
  { letter, event, job, runId, scheduledFor, cause, isInLedgerPerhaps }: FailedStart,
  deployment: string,
  queue: string,
): RunReport {
  const sent = letter.sentAt.toISOString();
  const yet = isInLedgerPerhaps
    ? ' It may begin yet: if start-run had written it into its ledger before it failed, the next start begins it of a job that must not run beside it, and is skipped for it.'
    : '';
  return {
    job,
    deployment,
    runId,
    scheduledFor,
    startedAt: scheduledFor,
    endedAt: sent,
    outcome: 'failed',
    figures: {},
    problems: [
      {
        what: `The run was not started: ${cause || 'no cause is given'}.`,
        where: `${deployment}, queue ${queue}`,
        next: `Mend the cause (the log /aws/lambda/${deployment}-start-run may say more); then start ${job} by hand inside the downtime window.${yet}`,
      },
    ],
    details: { event },
  };
}

function shown(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}
