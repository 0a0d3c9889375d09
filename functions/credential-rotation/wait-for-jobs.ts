import type { DurableContext } from '@aws/durable-execution-sdk-js';
import { type LambdaClient, paginateListDurableExecutionsByFunction } from '@aws-sdk/client-lambda';
import type { CredentialRotationSettings } from './contract.ts';

/** `ended`: something was waited for, so that what was found before may no longer hold. */
export type OtherRuns = { kind: 'none' } | { kind: 'ended' } | { kind: 'still-running'; runs: string };

/** Between two looks: what is waited for takes minutes to hours. */
const LOOK_SECONDS = 60;

/**
 * Waits while a job that must not meet a roll is running. A job that would start meanwhile is turned away by start-run,
 * so this ends: when those that run have ended, or when too little time is left for the four steps and the first
 * service. What is begun later than that would only stop halfway, with two valid passwords until the next run.
 */
export async function waitForJobs(
  context: DurableContext,
  { waitsFor, rotationTimeoutSeconds, steadyTimeoutSeconds }: CredentialRotationSettings,
  lambda: LambdaClient,
  endBy: number,
): Promise<OtherRuns> {
  if (waitsFor.length === 0) return { kind: 'none' };
  const latestBeginning = endBy - (rotationTimeoutSeconds + steadyTimeoutSeconds) * 1000;
  const { runs, looks } = await context.waitForCondition(
    'no other job is running',
    async (before: Look): Promise<Look> => {
      const runs = await runningRuns(lambda, waitsFor);
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
  return { kind: looks > 1 ? 'ended' : 'none' };
}

interface Look {
  /** As people name them; empty: none. */
  runs: string;
  looks: number;
  /** Epoch milliseconds. */
  at: number;
}

async function runningRuns(
  client: LambdaClient,
  waitsFor: CredentialRotationSettings['waitsFor'],
): Promise<string> {
  const running: string[] = [];
  for (const { job, functionArn } of waitsFor) {
    const pages = paginateListDurableExecutionsByFunction(
      { client },
      { FunctionName: functionArn, Statuses: ['RUNNING'] },
    );
    for await (const { DurableExecutions: executions = [] } of pages)
      running.push(
        ...executions.map(({ DurableExecutionName: name = 'without a name' }) => `${job}'s run ${name}`),
      );
  }
  return running.join(' and ');
}
