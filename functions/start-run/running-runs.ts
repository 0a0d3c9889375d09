import type { LambdaClient } from '@aws-sdk/client-lambda';
import * as v from 'valibot';
import { isRunning } from './begin-run.ts';
import type { RunningRequest, RunningRuns, StartRunSettings } from './contract.ts';
import type { LedgerEntry, RunLedger } from './run-ledger.ts';

const requestSchema = v.strictObject({
  running: v.literal(true),
  deployment: v.string(),
}) satisfies v.GenericSchema<RunningRequest>;

/** What upgrade-check asks, if an event is that. */
export function runningRequest(event: unknown): RunningRequest | undefined {
  return v.is(requestSchema, event) ? event : undefined;
}

/**
 * The runs that were let begin and have not ended. One whose execution is not on record is among them: it is being started.
 * @param now epoch milliseconds.
 */
export async function runningRuns(
  { deployment }: RunningRequest,
  { lambda, ledger, settings }: { lambda: LambdaClient; ledger: RunLedger; settings: StartRunSettings },
  now = Date.now(),
): Promise<RunningRuns> {
  if (deployment !== settings.deployment)
    throw new Error(`These are the runs of ${settings.deployment}, and not of ${deployment.slice(0, 80)}.`);
  const { entries } = await ledger.read();
  const running: LedgerEntry[] = [];
  for (const entry of entries) {
    const { job, until, at, durableExecutionArn: arn } = entry;
    if (now >= Date.parse(until) || !Object.hasOwn(settings.jobs, job)) continue;
    if (arn === undefined || (await isRunning(lambda, arn, now - Date.parse(at)))) running.push(entry);
  }
  return { running: running.map(({ job, runId }) => ({ job, runId })) };
}
