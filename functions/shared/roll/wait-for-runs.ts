import type { DurableContext } from '@aws/durable-execution-sdk-js';
import {
  GetDurableExecutionCommand,
  type LambdaClient,
  ResourceNotFoundException,
} from '@aws-sdk/client-lambda';
import type { OtherRun } from '../run/run-event.ts';

/** `ended`: something was waited for, so that what was found before may no longer hold. */
export type OtherRuns =
  | { kind: 'none' }
  | { kind: 'ended'; looks: number }
  | { kind: 'still-running'; runs: string };

/** Between two looks: what is waited for takes minutes to hours. */
const LOOK_SECONDS = 60;

/**
 * Waits for the end of runs that must not meet a roll: those that went on when this one began. One that would start since is
 * turned away by start-run, so this ends: when those have ended, or when too little time is left for the
 * first service: what is begun later than that would only stop halfway.
 * @param latestBeginning epoch milliseconds
 */
export async function waitForRuns(
  context: DurableContext,
  others: OtherRun[],
  lambda: LambdaClient,
  latestBeginning: number,
): Promise<OtherRuns> {
  if (others.length === 0) return { kind: 'none' };
  const { runs, looks } = await context.waitForCondition(
    'no other job is running',
    async (before: Look): Promise<Look> => {
      const runs = await running(lambda, others);
      if (runs && runs !== before.runs) context.logger.info(`Waiting for the end of ${runs}.`);
      return { runs, looks: before.looks + 1, at: Date.now() };
    },
    {
      initialState: { runs: '', looks: 0, at: 0 },
      waitStrategy: ({ runs, at }) =>
        runs === '' || at >= latestBeginning
          ? { shouldContinue: false }
          : { shouldContinue: true, delay: { seconds: LOOK_SECONDS } },
    },
  );
  if (runs) return { kind: 'still-running', runs };
  return looks > 1 ? { kind: 'ended', looks } : { kind: 'none' };
}

interface Look {
  /** As people name them; empty: none. */
  runs: string;
  looks: number;
  /** Epoch milliseconds. */
  at: number;
}

async function running(lambda: LambdaClient, others: OtherRun[]): Promise<string> {
  const names: string[] = [];
  for (const { job, runId, durableExecutionArn } of others)
    if (await isRunning(lambda, durableExecutionArn)) names.push(`${job}'s run ${runId}`);
  return names.join(' and ');
}

async function isRunning(lambda: LambdaClient, arn: string): Promise<boolean> {
  try {
    const { Status: status } = await lambda.send(
      new GetDurableExecutionCommand({ DurableExecutionArn: arn, IncludeExecutionData: false }),
    );
    return status === 'RUNNING';
  } catch (error) {
    // Its history is thrown away, so it ended long ago.
    if (error instanceof ResourceNotFoundException) return false;
    throw error;
  }
}
