import { GetDurableExecutionCommand, LambdaClient } from '@aws-sdk/client-lambda';
import * as v from 'valibot';
import { executionsOf } from '../run/executions.ts';
import { namingErrors } from '../run/naming-errors.ts';
import { logger } from '../run/publish-report.ts';
import { REQUEST_LIMITS } from '../run/request-limits.ts';
import type { GcCall } from './gc-call.ts';
import { SINGLE_INSTANCE } from './nodes.ts';

/** The nodes whose callback has not come: it may still, at any time, and bears no date. */
export type StillAwaited = readonly string[];

/** Stands for each node, where it is not known which were asked. */
const EVERY_NODE = '*';

const lambda = namingErrors(new LambdaClient({ requestHandler: REQUEST_LIMITS }));

const report = v.object({
  outcome: v.string(),
  details: v.optional(
    v.object({
      callbacksAwaited: v.optional(v.array(v.string())),
      calls: v.optional(v.array(v.unknown())),
    }),
    {},
  ),
});

/**
 * What the last run of this job that asked for anything still awaited when it ended, as its report tells. One that left no
 * report, or cannot be asked about, may await all.
 * @param own of the run that asks, which is left out.
 */
export async function awaitedByEarlierRuns(own: string): Promise<StillAwaited> {
  try {
    for (const arn of await earlierRuns(own)) {
      const { Status, Result } = await lambda.send(
        new GetDurableExecutionCommand({ DurableExecutionArn: arn, IncludeExecutionData: true }),
      );
      const parsed = v.safeParse(report, JSON.parse(Result || 'null'));
      if (Status !== 'SUCCEEDED' || !parsed.success) return [EVERY_NODE];
      const { outcome, details } = parsed.output;
      if (details.callbacksAwaited) return details.callbacksAwaited;
      const askedNothing = outcome === 'skipped' || details.calls?.length === 0;
      if (outcome !== 'succeeded' && !askedNothing) return [EVERY_NODE];
    }
    return [];
  } catch (error) {
    // Garbage collection does not wait for it.
    logger.warn('What callbacks earlier runs await is not known.', { error: error as Error });
    return [EVERY_NODE];
  }
}

/** The newest first. */
async function earlierRuns(own: string): Promise<string[]> {
  const executions = await executionsOf(lambda, process.env.AWS_LAMBDA_FUNCTION_NAME ?? '');
  return executions.flatMap(({ DurableExecutionArn: arn }) => (arn && arn !== own ? [arn] : []));
}

/** Whether what comes of a node may be what an earlier run awaited. */
export function isAwaited(awaited: StillAwaited, node: string): boolean {
  return awaited.includes(node) || awaited.includes(EVERY_NODE);
}

/** What is still awaited after another call. */
export function stillAwaited(before: StillAwaited, call: GcCall): StillAwaited {
  if (call.kind !== 'answered' && call.kind !== 'interrupted') return before;
  const unnamed = call.doubts?.unnamed ?? [];
  // Another deployment's may have been taken where nothing is named: this one's comes yet then, and may name itself.
  const heard = call.heard.map(({ node }) => node).filter((node) => !unnamed.includes(node));
  // One that was taken shows that the webhook takes them: what was older has come, or comes before the next call.
  const left = heard.length > 0 ? before.filter((node) => node !== EVERY_NODE) : before;
  const missing =
    call.kind === 'answered'
      ? [...call.missing, ...unnamed]
      : call.heard.length > 0
        ? unnamed
        : [SINGLE_INSTANCE, EVERY_NODE];
  return [...new Set([...left.filter((node) => !heard.includes(node)), ...missing])];
}
