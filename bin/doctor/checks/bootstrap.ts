import { GetParameterCommand, ParameterNotFound } from '@aws-sdk/client-ssm';
import { type Check, type Finding, ofEach } from '../check.ts';

/** Whether the account and region are prepared for the CDK, which `cdk deploy` asks of each stack. */
export const bootstrap: Check = {
  name: 'bootstrap of the CDK',
  when: 'before the deploy',
  actions: ['ssm:GetParameter'],
  async run(deployment) {
    const { synthesized, clients } = deployment;
    const wanted = new Map<string, number>();
    for (const { bootstrap: needed } of synthesized?.stacks ?? [])
      if (needed) wanted.set(needed.parameter, Math.max(needed.version, wanted.get(needed.parameter) ?? 0));
    const mend = `npx cdk bootstrap aws://${await deployment.account()}/${await deployment.region()}`;
    return ofEach(
      [...wanted],
      ([parameter]) => parameter,
      async ([Name, version]): Promise<Finding> => {
        try {
          const { Parameter: parameter } = await clients.ssm.send(new GetParameterCommand({ Name }));
          const found = Number(parameter?.Value);
          if (found >= version) return { status: 'ok', saw: `Version ${found}, and ${version} is enough.` };
          return { status: 'failed', saw: `Version ${found}, and ${version} is needed.`, mend };
        } catch (error) {
          if (!(error instanceof ParameterNotFound)) throw error;
          return { status: 'failed', saw: 'The account and region were not prepared for the CDK.', mend };
        }
      },
    );
  },
};
