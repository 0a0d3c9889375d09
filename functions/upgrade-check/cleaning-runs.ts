import { GetDurableExecutionCommand, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import * as v from 'valibot';
import { executionsOf } from '../shared/run/executions.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { StartOutcome, StartRunEvent } from '../start-run/contract.ts';
import type { CleaningSettings } from './contract.ts';

/** A run of the cleaning job. */
export type CleaningRun =
  | { kind: 'running'; runId: string }
  /** `outcome`: as its report says, or how it ended if it left none. `endedAt`: epoch milliseconds. */
  | { kind: 'ended'; runId: string; outcome: string; endedAt: number };

const HOUR_MS = 3600 * 1000;

/** As long as a run can have begun before it ended: the longest time limit of a nightly job. */
const LONGEST_RUN_MS = 24 * HOUR_MS;

/** start-run answers within a minute. */
const START_TIMEOUT_MS = 90_000;

const lambda = namingErrors(
  new LambdaClient({
    requestHandler: { ...REQUEST_LIMITS, requestTimeout: START_TIMEOUT_MS },
  }),
);

/**
 * The runs of the cleaning job that ended within a time, or go on, the newest first; none that is older than the last success,
 * which would not make the answer better.
 */
export async function recentRuns(
  { functionArn }: CleaningSettings,
  { from }: { from: number },
): Promise<CleaningRun[]> {
  const executions = await executionsOf(lambda, functionArn, {
    StartedAfter: new Date(from - LONGEST_RUN_MS),
  });
  const runs: CleaningRun[] = [];
  for (const { DurableExecutionArn: arn = '', DurableExecutionName: runId = '' } of executions) {
    const run = await runOf(arn, runId);
    if (run.kind === 'running' || run.endedAt >= from) runs.push(run);
    if (run.kind === 'ended' && run.outcome === 'succeeded') break;
  }
  return runs;
}

/** A run by its name; `undefined` while there is none. */
export async function findRun(
  { functionArn }: CleaningSettings,
  runId: string,
): Promise<CleaningRun | undefined> {
  const [found] = await executionsOf(lambda, functionArn, { DurableExecutionName: runId });
  return found?.DurableExecutionArn ? runOf(found.DurableExecutionArn, runId) : undefined;
}

/** A job's run that goes on now. */
export async function runningRun({ functionArn }: { functionArn: string }): Promise<string | undefined> {
  const [running] = await executionsOf(lambda, functionArn, { Statuses: ['RUNNING'] });
  return running?.DurableExecutionName;
}

const startOutcome = v.variant('outcome', [
  v.object({ outcome: v.literal('started'), runId: v.string() }),
  v.object({ outcome: v.literal('already-started'), runId: v.string() }),
  v.object({ outcome: v.literal('skipped'), runId: v.string(), reason: v.string() }),
]) satisfies v.GenericSchema<StartOutcome>;

/**
 * Starts a run as a person would.
 * @param request saying it twice, with the same one, starts one run.
 * @throws Error if start-run fails.
 */
export async function startRun(
  { job, startRunArn }: CleaningSettings,
  deployment: string,
  request: string,
): Promise<StartOutcome> {
  const { Payload: payload, FunctionError: failed } = await lambda.send(
    new InvokeCommand({
      FunctionName: startRunArn,
      Payload: JSON.stringify({ job, deployment, request } satisfies StartRunEvent),
    }),
  );
  const answer: unknown = JSON.parse(Buffer.from(payload ?? []).toString() || 'null');
  const parsed = v.safeParse(startOutcome, answer);
  if (failed || !parsed.success)
    throw new Error(`start-run did not start ${job}: ${JSON.stringify(answer)?.slice(0, 500)}`);
  return parsed.output;
}

/** The result of a run is its report. */
const report = v.object({ outcome: v.string() });

async function runOf(arn: string, runId: string): Promise<CleaningRun> {
  const { Status, EndTimestamp, Result } = await lambda.send(
    // Said, for by default it is included by one of AWS's texts, and not by the other.
    new GetDurableExecutionCommand({ DurableExecutionArn: arn, IncludeExecutionData: true }),
  );
  if (Status === 'RUNNING') return { kind: 'running', runId };
  const parsed = v.safeParse(report, JSON.parse(Result || 'null'));
  return {
    kind: 'ended',
    runId,
    outcome: parsed.success ? parsed.output.outcome : String(Status),
    endedAt: EndTimestamp?.getTime() ?? 0,
  };
}
