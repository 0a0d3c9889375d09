import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import * as v from 'valibot';
import { EXAMINATION_EVENT, EXAMINATION_PREFIX } from '../shared/run/examination.ts';
import type { ExaminationBegun, ExaminationRequest, StartRunSettings } from './contract.ts';

const requestSchema = v.strictObject({
  examine: v.literal(true),
  job: v.string(),
  deployment: v.string(),
}) satisfies v.GenericSchema<ExaminationRequest>;

/** What doctor asks, if an event is that. */
export function examinationRequest(event: unknown): ExaminationRequest | undefined {
  return v.is(requestSchema, event) ? event : undefined;
}

/** Has a job look at what its runs need: no run, so it is in nobody's way, and nothing is in its. */
export async function beginExamination(
  { job, deployment }: ExaminationRequest,
  lambda: LambdaClient,
  settings: StartRunSettings,
  requestId: string,
): Promise<ExaminationBegun> {
  const target = Object.hasOwn(settings.jobs, job) ? settings.jobs[job] : undefined;
  if (!target || deployment !== settings.deployment)
    throw new Error(
      `${settings.deployment} has no job ${job.slice(0, 80)} of ${deployment.slice(0, 80)}. It has ${Object.keys(settings.jobs).join(', ')}.`,
    );
  const { DurableExecutionArn: durableExecutionArn } = await lambda.send(
    new InvokeCommand({
      FunctionName: target.aliasArn,
      InvocationType: 'Event',
      DurableExecutionName: `${EXAMINATION_PREFIX}${requestId}`,
      Payload: JSON.stringify(EXAMINATION_EVENT),
    }),
  );
  if (durableExecutionArn === undefined) throw new Error(`Lambda names no execution of ${target.aliasArn}.`);
  return { durableExecutionArn };
}
