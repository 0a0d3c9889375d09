import { GetRoleCommand, NoSuchEntityException } from '@aws-sdk/client-iam';
import { type Check, type Finding, ofEach } from '../check.ts';

const ROLE = /^arn:[\w-]+:iam::(\d{12}):role\/(?:.*\/)?([\w+=,.@-]+)$/;

/** Whether the roles are there that policies of the stacks name: AWS takes no policy that names one which is not. */
export const namedRoles: Check = {
  name: 'roles that are named',
  when: 'before the deploy',
  actions: ['iam:GetRole'],
  async run(deployment) {
    const { synthesized, clients } = deployment;
    const own = await deployment.account();
    const named = new Set<string>();
    for (const { properties } of synthesized?.resources ?? []) collect(properties, named);
    return ofEach(
      [...named].filter((arn) => ROLE.exec(arn)?.[1] === own).sort(),
      (arn) => arn,
      async (arn): Promise<Finding> => {
        const [, , RoleName = ''] = ROLE.exec(arn) ?? [];
        try {
          const { Role: role } = await clients.iam.send(new GetRoleCommand({ RoleName }));
          if (role?.Arn === arn) return { status: 'ok', saw: 'It is there.' };
          return {
            status: 'failed',
            saw: `The role of this name is ${role?.Arn}.`,
            mend: `${role?.Arn}   # in place of it in the configuration`,
          };
        } catch (error) {
          if (!(error instanceof NoSuchEntityException)) throw error;
          return {
            status: 'failed',
            saw: 'There is no such role, and cdk deploy fails on a policy that names it.',
            mend: "aws iam list-roles --query 'Roles[].Arn' --output text   # callbacks.senders or mediaVolume.create.roleArns of the configuration",
          };
        }
      },
    );
  },
};

/** Who is named as a principal, wherever policies stand in it. */
function collect(value: unknown, named: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    if (key === 'Principal' && typeof item === 'object' && item !== null)
      for (const arn of [Reflect.get(item, 'AWS')].flat()) if (typeof arn === 'string') named.add(arn);
    collect(item, named);
  }
}
