import { type DurableContext, withDurableExecution } from '@aws/durable-execution-sdk-js';
import * as v from 'valibot';
import type { Problem } from '../shared/run/report.ts';
import { type RunResult, runJob } from '../shared/run/run-job.ts';
import { readSettings } from '../shared/run/settings.ts';
import { SINGLE_INSTANCE } from '../shared/whatsapp/web-app.ts';
import type { RunEvent } from '../start-run/contract.ts';
import { type CollectedGarbage, collectGarbage, type GcCall, isComplete } from './collect-garbage.ts';
import type { MessageGcSettings } from './contract.ts';
import { type MarkedRead, markMessagesRead } from './mark-messages-read.ts';

const settingsSchema = v.object({
  deployment: v.string(),
  webApp: v.object({
    url: v.string(),
    certificateAuthority: v.string(),
    serverName: v.exactOptional(v.string()),
    secretArn: v.string(),
  }),
  notificationsQueueUrl: v.string(),
  gc: v.object({ maximumCalls: v.number(), pauseSeconds: v.number(), callbackTimeoutSeconds: v.number() }),
  markRead: v.exactOptional(
    v.object({
      queueUrl: v.string(),
      olderThanSeconds: v.number(),
      requestsPerSecond: v.number(),
      concurrency: v.number(),
    }),
  ),
}) satisfies v.GenericSchema<MessageGcSettings>;

/** Marks inbound messages read, if the business wants it, and has the client collect its garbage. */
export const handler = withDurableExecution((event: unknown, context) => runJob(event, context, messageGc));

async function messageGc(run: RunEvent, context: DurableContext): Promise<RunResult> {
  const settings = readSettings(settingsSchema);
  const windowEnd = Date.parse(run.windowEnd);

  const marked = await markRead(settings, windowEnd, context);
  if (marked?.fatal)
    return { outcome: 'failed', figures: markedFigures(marked), problems: markedProblems(settings, marked) };

  const collected = await collectGarbage(settings, windowEnd, context);

  const lastCall = collected.calls.at(-1);
  const nodes = deletedPerNode(collected.calls);
  const messagesDeleted = nodes.reduce((sum, node) => sum + node.messagesDeleted, 0);
  const problems = [
    ...(marked ? markedProblems(settings, marked) : []),
    ...gcProblems(settings, lastCall),
    ...collected.problems,
  ];
  return {
    outcome: outcomeOf(collected, marked, messagesDeleted),
    figures: {
      calls: collected.calls.length,
      messagesDeleted,
      notificationsIgnored: collected.ignored,
      ...(marked && markedFigures(marked)),
    },
    problems,
    details: { nodes },
  };
}

/** In the first half of what is left of the window, so that the other half remains for GC. */
async function markRead(
  settings: MessageGcSettings,
  windowEnd: number,
  context: DurableContext,
): Promise<MarkedRead | undefined> {
  const { markRead } = settings;
  if (!markRead) return undefined;
  const now = await context.step('time', async () => Date.now());
  return markMessagesRead({ ...settings, markRead }, (now + windowEnd) / 2, context);
}

function outcomeOf(
  { calls }: CollectedGarbage,
  marked: MarkedRead | undefined,
  messagesDeleted: number,
): RunResult['outcome'] {
  const lastCall = calls.at(-1);
  if (isComplete(lastCall)) return marked?.error || marked?.atInFlightLimit ? 'partial' : 'succeeded';
  const someNodeDone =
    lastCall?.kind === 'answered' && lastCall.heard.some(({ status }) => status === 'complete');
  return someNodeDone || messagesDeleted > 0 ? 'partial' : 'failed';
}

function deletedPerNode(calls: GcCall[]): { node: string; messagesDeleted: number; status: string }[] {
  const nodes = new Map<string, { node: string; messagesDeleted: number; status: string }>();
  for (const call of calls) {
    if (call.kind !== 'answered' && call.kind !== 'interrupted') continue;
    for (const { node, deleted, status } of call.heard) {
      const before = nodes.get(node)?.messagesDeleted ?? 0;
      nodes.set(node, { node, messagesDeleted: before + deleted, status });
    }
    if (call.kind !== 'answered') continue;
    for (const [status, names] of Object.entries({ missing: call.missing, gone: call.gone }))
      for (const node of names)
        nodes.set(node, { node, messagesDeleted: nodes.get(node)?.messagesDeleted ?? 0, status });
  }
  return [...nodes.values()];
}

function gcProblems({ deployment, webApp, gc }: MessageGcSettings, call: GcCall | undefined): Problem[] {
  if (!call || isComplete(call)) return [];
  const where = (node: string) => (node === SINGLE_INSTANCE ? deployment : `${deployment}, node ${node}`);
  switch (call.kind) {
    case 'refused':
      return [
        {
          what: call.reason,
          where: `${deployment}, ${webApp.url}`,
          next: 'Nothing was collected. Mend this, then start message-gc by hand.',
        },
      ];
    case 'not-started':
      return [
        {
          what: `GC did not start: ${call.reason}`,
          where: `${deployment}, ${webApp.url}`,
          next: 'Check that WebApp and every CoreApp run and reach each other. The next scheduled run tries again.',
        },
      ];
    case 'interrupted':
      return [
        {
          what: 'The function was ended while it asked for GC, and no callback told the outcome.',
          where: deployment,
          next: 'The next scheduled run asks again.',
        },
      ];
    case 'answered':
      return [
        ...call.heard
          .filter(({ status }) => status === 'failed')
          .map(({ node, errors }) => ({
            what: `GC ended with errors: ${errors.join('; ') || 'none were named'}.`,
            where: where(node),
            next: 'With more than 10 million rows in the table messages several nights may be needed; raise maximumCalls or widen the window if the rows do not fall.',
          })),
        ...call.missing.map((node) => ({
          what: `No callback came within ${gc.callbackTimeoutSeconds} seconds, or before the window ended.`,
          where: where(node),
          next: "Check that the business's webhook answers 200 and puts what it receives on the callbacks bus.",
        })),
        ...call.gone.map((node) => ({
          what: 'The node went away before its callback came, and the calls or the window ended before it was asked anew.',
          where: where(node),
          next: 'The next scheduled run asks its successor. See in ECS why the task was replaced.',
        })),
      ];
  }
}

function markedFigures(marked: MarkedRead): Record<string, number> {
  const { messagesMarkedRead, messagesDropped, messagesTooYoung, messagesNotMarked, messagesUnreadable } =
    marked;
  return { messagesMarkedRead, messagesDropped, messagesTooYoung, messagesNotMarked, messagesUnreadable };
}

function markedProblems({ deployment, markRead }: MessageGcSettings, marked: MarkedRead): Problem[] {
  const where = `${deployment}, queue ${markRead?.queueUrl}`;
  const problems: Problem[] = [];
  if (marked.error)
    problems.push({
      what: `Not every message could be marked read: ${marked.error}`,
      where,
      next: 'What was not marked stays in the queue for the next run.',
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
