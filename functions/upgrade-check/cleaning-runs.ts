import { GetDurableExecutionCommand, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import * as v from 'valibot';
import { executionsOf } from '../shared/run/executions.ts';
import { namingErrors } from '../shared/run/naming-errors.ts';
import { REQUEST_LIMITS } from '../shared/run/request-limits.ts';
import type { RunningRequest, RunningRuns, StartOutcome, StartRunEvent } from '../start-run/contract.ts';
import type { CleaningSettings, UpgradeCheckSettings } from './contract.ts';

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
  { deployment, startRunArn }: StartRunAddress,
  job: string,
  request: string,
): Promise<StartOutcome> {
  const answer = await askStartRun(startRunArn, { job, deployment, request } satisfies StartRunEvent);
  const parsed = v.safeParse(startOutcome, answer);
  if (!parsed.success)
    throw new Error(`start-run did not start ${job}: ${JSON.stringify(answer)?.slice(0, 500)}`);
  return parsed.output;
}

type StartRunAddress = Pick<UpgradeCheckSettings, 'deployment' | 'startRunArn'>;

const runningRuns = v.object({
  running: v.array(v.object({ job: v.string(), runId: v.string() })),
}) satisfies v.GenericSchema<RunningRuns>;

/**
 * The runs that go on of all jobs of the deployment, as start-run's ledger has them.
 * @throws Error if start-run fails.
 */
export async function begunRuns({
  deployment,
  startRunArn,
}: StartRunAddress): Promise<RunningRuns['running']> {
  const answer = await askStartRun(startRunArn, { running: true, deployment } satisfies RunningRequest);
  const parsed = v.safeParse(runningRuns, answer);
  if (!parsed.success)
    throw new Error(`start-run did not say which runs go on: ${JSON.stringify(answer)?.slice(0, 500)}`);
  return parsed.output.running;
}

async function askStartRun(startRunArn: string, event: StartRunEvent | RunningRequest): Promise<unknown> {
  const { Payload: payload } = await lambda.send(
    new InvokeCommand({ FunctionName: startRunArn, Payload: JSON.stringify(event) }),
  );
  // An error is no answer that either question knows.
  return JSON.parse(Buffer.from(payload ?? []).toString() || 'null');
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
