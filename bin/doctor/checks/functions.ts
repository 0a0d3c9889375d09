import { ResourceNotFoundException } from '@aws-sdk/client-lambda';
import type { Check, Finding } from '../check.ts';
import { ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';

/** Whether the function that start-run would call for each job is there, and takes invocations. */
export const functions: Check = {
  name: 'functions',
  when: 'deployed',
  actions: ['lambda:GetFunctionConfiguration'],
  run: (deployment) =>
    ofEach(
      deployment.jobs,
      (job) => job,
      (job) => look(deployment, job),
    ),
};

async function look(deployment: ExaminedDeployment, job: string): Promise<Finding> {
  const mend = 'npx cdk deploy --all';
  try {
    const found = await deployment.functionOf(job);
    const { State: state = 'Active', StateReason: reason, LastUpdateStatus: update, DurableConfig } = found;
    // `Inactive`: it was not invoked for weeks, and the next invocation makes it active again.
    if (state === 'Failed' || state === 'Deactivated')
      return {
        status: 'failed',
        saw: `The function is ${state}: ${reason ?? 'Lambda gives no reason'}.`,
        mend,
      };
    if (update === 'Failed')
      return {
        status: 'failed',
        saw: `Its last update failed: ${found.LastUpdateStatusReason ?? 'Lambda gives no reason'}.`,
        mend,
      };
    if (DurableConfig === undefined)
      return {
        status: 'failed',
        saw: 'It is no durable function, so start-run cannot give its runs their names.',
        mend: `aws lambda delete-function --function-name ${deployment.name}-${job}\n${mend}`,
      };
    return { status: 'ok', saw: `Version ${found.Version}, ${found.Runtime}.` };
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
    return {
      status: 'failed',
      saw: `start-run is to call ${deployment.upkeep.jobs[job]?.aliasArn}, and it is not there.`,
      mend,
    };
  }
}
