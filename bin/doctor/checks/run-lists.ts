import { ListDurableExecutionsByFunctionCommand } from '@aws-sdk/client-lambda';
import { executionsOf } from '../../../functions/shared/run/executions.ts';
import { type LedgerEntry, RunLedger } from '../../../functions/start-run/run-ledger.ts';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';

/**
 * Whether Lambda lists a run that it must have: the last one of each job that start-run's ledger says was begun. AWS's reference
 * has said two things of a list without a qualifier, and upgrade-check, `status` and `history` look by such lists.
 */
export const runLists: Check = {
  name: 'lists of runs',
  actions: [
    'lambda:ListDurableExecutionsByFunction',
    'lambda:ListVersionsByFunction',
    'ssm:GetParametersByPath',
  ],
  async run(deployment) {
    const { clients, upkeep, name } = deployment;
    const { entries } = await new RunLedger(clients.ssm, upkeep.ledgerPath).read();
    // While it has its event it need not have begun. The last of each job.
    const begun = new Map(
      entries
        .filter(({ job, event }) => deployment.jobs.includes(job) && !event)
        .map((run) => [run.job, run]),
    );
    if (begun.size === 0) {
      const job = deployment.jobs.find((each) => upkeep.jobs[each]?.outsideWindow) ?? deployment.jobs[0];
      return [
        {
          status: 'could not look',
          saw: `No run was begun within a day, so there is none that Lambda must list. Look again after one: npx wa-upkeep run ${job} ${name}`,
        },
      ];
    }
    return ofEach(
      [...begun.values()],
      ({ job }) => job,
      (run) => look(deployment, run),
    );
  },
};

async function look(
  { clients: { lambda }, name }: ExaminedDeployment,
  { job, runId, at }: LedgerEntry,
): Promise<Finding> {
  const FunctionName = `${name}-${job}`;
  const { DurableExecutions: unqualified = [] } = await lambda.send(
    new ListDurableExecutionsByFunctionCommand({ FunctionName, DurableExecutionName: runId }),
  );
  if (unqualified.length > 0) return { status: 'ok', saw: `Lambda lists ${runId}.` };
  const [found] = await executionsOf(lambda, FunctionName, { DurableExecutionName: runId });
  if (found)
    return {
      status: 'ok',
      saw: `Lambda lists ${runId} under its version only. It is looked for there as well.`,
    };
  return {
    status: 'failed',
    saw: `${runId} was begun at ${at}, and Lambda lists it neither with the function nor with a version of it: upgrade-check, status and history do not see the runs of ${job}.`,
    mend: `aws lambda list-durable-executions-by-function --function-name ${FunctionName} --qualifier VERSION   # of each version; where it has none either, look again in some minutes, then ask AWS`,
  };
}
