import { setTimeout } from 'node:timers/promises';
import { GetDurableExecutionCommand, InvokeCommand } from '@aws-sdk/client-lambda';
import type { Examination } from '../../../functions/shared/run/examination.ts';
import type { ExaminationBegun, ExaminationRequest } from '../../../functions/start-run/contract.ts';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';

/** Between two looks at whether a function has ended. */
const LOOK_MS = 1_000;
/** A function tries a database that does not answer for a minute; WebApp has as long. */
const PATIENCE_MS = 180_000;

/**
 * Has each job's function look at what its runs need, with its own rights and from where it is: databases, WebApp, secrets,
 * queues, what a roll would meet. Doctor reads no secret by itself. It is no run, and has no report and no metrics.
 */
export const jobs: Check = {
  name: 'what the jobs need',
  when: 'deployed',
  // The last one where the deployment has a key of its own: what is on record of its executions is encrypted with it.
  actions: ['lambda:InvokeFunction', 'lambda:GetDurableExecution', 'kms:Decrypt'],
  run: (deployment) =>
    ofEach(
      deployment.jobs,
      (job) => job,
      (job) => look(deployment, job),
    ),
};

async function look(deployment: ExaminedDeployment, job: string): Promise<Finding[]> {
  const { name } = deployment;
  const arn = await examinationOf(deployment, job);
  const log = `aws logs tail /aws/lambda/${name}-${job} --since 10m`;
  const until = Date.now() + PATIENCE_MS;
  while (Date.now() < until) {
    const { Status: status, Result: result } = await deployment.clients.lambda.send(
      new GetDurableExecutionCommand({ DurableExecutionArn: arn, IncludeExecutionData: true }),
    );
    if (status === 'SUCCEEDED')
      return (JSON.parse(result ?? '{"findings":[]}') as Examination).findings.map((finding) => ({
        ...finding,
        of: `${job}, ${finding.of}`,
      }));
    if (status !== 'RUNNING')
      return [
        {
          status: 'failed',
          saw: `Its function could not look: the execution ${arn} is ${status}.`,
          mend: log,
        },
      ];
    await setTimeout(LOOK_MS);
  }
  return [
    {
      status: 'failed',
      saw: `Its function has not ended its look within ${PATIENCE_MS / 1000} seconds.`,
      mend: log,
    },
  ];
}

/** The execution in which a job's function looks, as start-run began it, once. */
export function examinationOf(deployment: ExaminedDeployment, job: string): Promise<string> {
  const request: ExaminationRequest = { examine: true, job, deployment: deployment.name };
  return deployment.once(`examination of ${job}`, () => begin(deployment, request));
}

async function begin({ clients, name }: ExaminedDeployment, request: ExaminationRequest): Promise<string> {
  const { FunctionError: failed, Payload: payload } = await clients.lambda.send(
    new InvokeCommand({ FunctionName: `${name}-start-run`, Payload: JSON.stringify(request) }),
  );
  const answer = JSON.parse(Buffer.from(payload ?? []).toString()) as ExaminationBegun & {
    errorMessage?: string;
  };
  if (failed) throw new Error(`start-run failed: ${answer.errorMessage ?? failed}`);
  return answer.durableExecutionArn;
}
