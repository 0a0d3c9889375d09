import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import * as v from 'valibot';
import type { DatabaseAddress } from '../shared/database/contract/engine.ts';
import { addressSchema } from '../shared/database/credential/settings.ts';
import { examineSets } from '../shared/database/sizes/examine-sets.ts';
import type { Problem } from '../shared/run/report.ts';
import type { RunEvent } from '../shared/run/run-event.ts';
import { type ExaminationFinding, type RunResult, runJob } from '../shared/run/run-job.ts';
import { readSettings } from '../shared/run/settings.ts';
import { callbacksIn } from '../shared/whatsapp/callback-queue.ts';
import { collectGarbage } from '../shared/whatsapp/collect-garbage.ts';
import { examineWebApp } from '../shared/whatsapp/examine-web-app.ts';
import { gcResult } from '../shared/whatsapp/gc-result.ts';
import { gcSettingsSchema } from '../shared/whatsapp/settings.ts';
import type { MessageGcSettings } from './contract.ts';
import { type MarkedRead, markMessagesRead } from './mark-messages-read.ts';
import { messageRows, withMessageRows } from './message-rows.ts';
import { withWindow } from './watch-window.ts';

const settingsSchema = v.object({
  ...gcSettingsSchema.entries,
  markRead: v.exactOptional(
    v.object({
      queueUrl: v.string(),
      olderThanSeconds: v.number(),
      requestsPerSecond: v.number(),
      concurrency: v.number(),
    }),
  ),
  sets: v.exactOptional(
    v.array(
      v.object({
        name: v.string(),
        database: addressSchema,
        secretArn: v.string(),
        databases: v.array(v.string()),
      }),
    ),
  ),
  watchWindow: v.exactOptional(
    v.object({
      traffic: v.object({
        namespace: v.string(),
        metricName: v.string(),
        dimensions: v.record(v.string(), v.string()),
        unit: v.exactOptional(v.literal('bytes/second')),
      }),
      window: v.object({ from: v.string(), to: v.string() }),
      timeZone: v.string(),
    }),
  ),
}) satisfies v.GenericSchema<MessageGcSettings>;

/**
 * When a server's number has followed. MySQL and MariaDB look at a table anew within some ten seconds of a tenth having changed, one
 * table after the other; a session of PostgreSQL writes its counters ten seconds after it has fallen idle, at the latest.
 */
const SETTLE_SECONDS: Record<DatabaseAddress['engine'], number> = {
  mysql: 60,
  'aurora-mysql': 60,
  mariadb: 60,
  postgres: 12,
  'aurora-postgresql': 12,
};

/**
 * Marks inbound messages read, if the business wants it, has the client collect its garbage, and tells whether that had an
 * effect on the rows, where it may know them.
 */
export const handler = withDurableExecution((event: unknown, context) =>
  runJob(event, context, messageGc, examine),
);

async function examine(context: DurableContext): Promise<ExaminationFinding[]> {
  const settings = readSettings(settingsSchema);
  const sets = (settings.sets ?? []).map((set) => ({
    ...set,
    tables: [{ table: 'messages', databases: set.databases }],
  }));
  return [...(await examineWebApp(settings, context)), ...(await examineSets(sets, context))];
}

async function messageGc(run: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const result = await collect(settings, run, context);
  return settings.watchWindow ? withWindow(result, settings.watchWindow, run, context) : result;
}

async function collect(
  settings: MessageGcSettings,
  run: RunEvent,
  context: DurableContext,
): Promise<RunResult> {
  const endBy = Date.parse(run.endBy);

  const marked = await markRead(settings, endBy, context);
  if (marked?.fatal)
    return {
      outcome: 'failed',
      figures: markedFigures(marked),
      problems: markedProblems(settings, marked),
      details: { calls: [] },
    };

  const { sets } = settings;
  const before = sets && (await context.step('rows before', () => messageRows(sets)));
  const collected = await collectGarbage('message', settings, endBy, context);
  const seconds = Math.max(0, ...(sets ?? []).map(({ database }) => SETTLE_SECONDS[database.engine]));
  const isTime =
    seconds > 0 && (await context.step('time left', async () => Date.now() + seconds * 1000 < endBy));
  if (isTime) await context.wait('until the numbers have followed', { seconds });
  const after = sets && (await context.step('rows after', () => messageRows(sets)));

  const result = withMarked(settings, marked, gcResult('message', settings, collected));
  return before && after ? withMessageRows(result, { sets, before, after }, run, context) : result;
}

function withMarked(
  settings: MessageGcSettings,
  marked: MarkedRead | undefined,
  result: RunResult,
): RunResult {
  if (!marked) return result;
  const isDoneByHalf = marked.error || marked.atInFlightLimit;
  return {
    ...result,
    outcome: result.outcome === 'succeeded' && isDoneByHalf ? 'partial' : result.outcome,
    figures: { ...result.figures, ...markedFigures(marked) },
    problems: [...markedProblems(settings, marked), ...result.problems],
  };
}

/** In the first half of what is left of the window, so that the other half remains for GC. */
async function markRead(
  settings: MessageGcSettings,
  endBy: number,
  context: DurableContext,
): Promise<MarkedRead | undefined> {
  const { markRead } = settings;
  if (!markRead) return undefined;
  const { now, queued } = await context.step('time', async () => ({
    now: Date.now(),
    queued: await callbacksIn(markRead.queueUrl),
  }));
  return markMessagesRead({ ...settings, markRead }, { until: (now + endBy) / 2, queued }, context);
}

function markedFigures(marked: MarkedRead): Record<string, number> {
  const { messagesMarkedRead, messagesDropped, messagesTooYoung } = marked;
  const { messagesNotMarked, messagesGivenUp, messagesUnreadable, messagesOfOthers } = marked;
  return {
    messagesMarkedRead,
    messagesDropped,
    messagesTooYoung,
    messagesNotMarked,
    messagesGivenUp,
    messagesUnreadable,
    ...(messagesOfOthers > 0 && { messagesOfOthers }),
    ...(marked.interruptions > 0 && {
      markingInterruptions: marked.interruptions,
      ...(marked.callbacksOfInterruptions !== undefined && {
        callbacksOfMarkingInterruptions: marked.callbacksOfInterruptions,
      }),
    }),
  };
}

function markedProblems({ deployment, markRead }: MessageGcSettings, marked: MarkedRead): Problem[] {
  const where = `${deployment}, queue ${markRead?.queueUrl}`;
  const problems: Problem[] = [];
  if (marked.interruptions > 0)
    problems.push({
      what: `${marked.interruptions} tries to mark messages read were ended by force. What they marked is marked, and not in messagesMarkedRead: ${marked.callbacksOfInterruptions ?? 'an unknown number of'} callbacks of the queue, as SQS counts.`,
      where,
      next: 'Nothing: what they had received came back to the queue 15 minutes later, and was marked then or is by the next run.',
    });
  if (marked.error)
    problems.push({
      what: `Not every message could be marked read: ${marked.error}`,
      where,
      next:
        marked.messagesGivenUp > 0
          ? `What was not marked stays in the queue for the next run, but for ${marked.messagesGivenUp} that were refused night after night and are given up.`
          : 'What was not marked stays in the queue for the next run.',
    });
  if (marked.atInFlightLimit)
    problems.push({
      what: "SQS's limit of 120,000 messages in flight is reached, so the queue gives nothing more.",
      where,
      next: 'Lower olderThan, so that fewer messages wait to be old enough. GC went on without the rest.',
    });
  if (marked.messagesUnreadable > 0)
    problems.push({
      what: `${marked.messagesUnreadable} messages in the queue are not of the form that the client sends.`,
      where,
      next: 'They stay there until their retention ends: look at them, and at what the webhook puts on the callbacks bus.',
    });
  return problems;
}
