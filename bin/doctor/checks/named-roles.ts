import { GetRoleCommand, NoSuchEntityException } from '@aws-sdk/client-iam';
import { type Check, type Finding, ofEach } from '../check.ts';

const ROLE = /^arn:[\w-]+:iam::(\d{12}):role\/(?:.*\/)?([\w+=,.@-]+)$/;

/**
 * Whether the roles are there that policies of the stacks name. AWS takes no policy with a principal that is not there; in a
 * condition it lets nobody in.
 */
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
            saw: 'There is no such role, and a policy of the stacks names it.',
            mend: "aws iam list-roles --query 'Roles[].Arn' --output text   # callbacks.senders or mediaVolume.create.roleArns of the configuration",
          };
        }
      },
    );
  },
};

/** Who is named as a principal, wherever policies stand in it, or by a condition on the principal. */
function collect(value: unknown, named: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    const principals: unknown[] =
      key === 'Principal' && typeof item === 'object' && item !== null
        ? [Reflect.get(item, 'AWS')].flat()
        : key.toLowerCase() === 'aws:principalarn'
          ? [item].flat()
          : [];
    for (const arn of principals) if (typeof arn === 'string') named.add(arn);
    collect(item, named);
  }
}
