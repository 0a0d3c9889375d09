import { GetAccountSettingsCommand } from '@aws-sdk/client-lambda';
import type { Check } from '../check.ts';

/** Of a deployment's own functions: start-run, report-lost-run, and for each job a run and a rotation's function beside it. */
const BESIDE_JOBS = 3;

/** Whether the account leaves Lambda enough invocations at once: a new account has 10 for all that is in it. */
export const concurrency: Check = {
  name: "Lambda's concurrency",
  actions: ['lambda:GetAccountSettings'],
  async run({ jobs, clients }) {
    const { AccountLimit: limit = {} } = await clients.lambda.send(new GetAccountSettingsCommand({}));
    const { ConcurrentExecutions: all = 0, UnreservedConcurrentExecutions: free = all } = limit;
    const needed = jobs.length + BESIDE_JOBS;
    const saw = `The account may have ${all} invocations at once in this region, of which ${free} are reserved for no function`;
    if (free >= needed) return [{ status: 'ok', saw: `${saw}.` }];
    return [
      {
        status: 'warning',
        saw: `${saw}: with all its jobs at work this deployment alone has ${needed}.`,
        mend: 'aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000',
      },
    ];
  },
};
