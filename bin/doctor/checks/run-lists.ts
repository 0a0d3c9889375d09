import { setTimeout } from 'node:timers/promises';
import { ListDurableExecutionsByFunctionCommand } from '@aws-sdk/client-lambda';
import { everyExecutionOf } from '../../../functions/shared/run/executions.ts';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { examinationOf } from './jobs.ts';

/** So long Lambda may take to list what it has just begun. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 1_000;

/**
 * Whether Lambda lists an execution that it must have: the one in which each job's function looks at what it needs. AWS's
 * reference has said two things of a list without a qualifier, and upgrade-check, `status` and `history` look by such lists.
 */
export const runLists: Check = {
  name: 'lists of runs',
  when: 'deployed',
  actions: [
    'kms:Decrypt',
    'lambda:InvokeFunction',
    'lambda:ListDurableExecutionsByFunction',
    'lambda:ListVersionsByFunction',
  ],
  run: (deployment) =>
    ofEach(
      deployment.jobs,
      (job) => job,
      (job) => lookForExamination(deployment, job),
    ),
};

/** @param pause between two looks. @default a second */
export async function lookForExamination(
  deployment: ExaminedDeployment,
  job: string,
  pause: () => Promise<unknown> = () => setTimeout(LOOK_MS),
): Promise<Finding> {
  const { lambda } = deployment.clients;
  const arn = await examinationOf(deployment, job);
  const FunctionName = `${deployment.name}-${job}`;
  // arn:…:function:NAME:VERSION/durable-execution/NAME/ID
  const filter = { DurableExecutionName: arn.split('/').at(-2) ?? '' };
  for (let waited = 0; waited <= PATIENCE_MS; waited += LOOK_MS) {
    if (waited > 0) await pause();
    const { DurableExecutions: unqualified = [] } = await lambda.send(
      new ListDurableExecutionsByFunctionCommand({ FunctionName, ...filter }),
    );
    if (unqualified.length > 0) return { status: 'ok', saw: 'Lambda lists what it has just begun.' };
    const [found] = await everyExecutionOf(lambda, FunctionName, filter);
    if (found)
      return {
        status: 'ok',
        saw: 'Lambda lists what it has just begun under its version only. Runs are looked for there as well.',
      };
  }
  return {
    status: 'failed',
    saw: `Lambda has begun ${arn}, and lists it neither with the function nor with a version of it: upgrade-check, status and history do not see the runs of ${job}.`,
    mend: `aws lambda list-durable-executions-by-function --function-name ${FunctionName} --qualifier VERSION   # of each version; where it has none either, look again in some minutes, then ask AWS`,
  };
}
