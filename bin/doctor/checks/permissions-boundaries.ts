import { GetPolicyCommand, GetPolicyVersionCommand, NoSuchEntityException } from '@aws-sdk/client-iam';
import * as v from 'valibot';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { matches } from '../policy-pattern.ts';

const texts = v.pipe(
  v.union([v.string(), v.array(v.string())]),
  v.transform((value) => [value].flat()),
);
const statement = v.looseObject({
  Effect: v.string(),
  Action: v.optional(texts),
  NotAction: v.optional(texts),
});
const document = v.looseObject({
  Statement: v.pipe(
    v.union([statement, v.array(statement)]),
    v.transform((value) => [value].flat()),
  ),
});
const inline = v.optional(v.array(v.looseObject({ PolicyDocument: document })), []);
const attached = v.looseObject({ PolicyDocument: document, Roles: v.optional(v.array(v.string()), []) });

/** Whether the permissions boundaries of the roles that are to be made are there, and allow what the roles are for. */
export const permissionsBoundaries: Check = {
  name: 'permissions boundaries',
  when: 'before the deploy',
  actions: ['iam:GetPolicy', 'iam:GetPolicyVersion'],
  run: async (deployment) => {
    const actions = new Map<string, Set<string>>();
    for (const { logicalId, properties } of deployment.synthesized?.ofType('AWS::IAM::Role') ?? []) {
      const { PermissionsBoundary: boundary } = properties;
      if (typeof boundary !== 'string' || boundary.includes('${')) continue;
      const known = actions.get(boundary) ?? new Set();
      for (const action of actionsOf(deployment, logicalId, properties.Policies)) known.add(action);
      actions.set(boundary, known);
    }
    return ofEach(
      [...actions],
      ([arn]) => arn,
      ([arn, needed]) => look(deployment, arn, [...needed].sort()),
    );
  },
};

async function look(
  { clients: { iam } }: ExaminedDeployment,
  PolicyArn: string,
  needed: string[],
): Promise<Finding> {
  let allowed: v.InferOutput<typeof document>;
  try {
    const { Policy: policy } = await iam.send(new GetPolicyCommand({ PolicyArn }));
    const { PolicyVersion: version } = await iam.send(
      new GetPolicyVersionCommand({ PolicyArn, VersionId: policy?.DefaultVersionId }),
    );
    allowed = v.parse(document, JSON.parse(decodeURIComponent(version?.Document ?? '')));
  } catch (error) {
    if (!(error instanceof NoSuchEntityException)) throw error;
    return {
      status: 'failed',
      saw: 'There is no such policy: no role can be made with it.',
      mend: "aws iam list-policies --scope Local --query 'Policies[].Arn' --output text",
    };
  }
  const missing = needed.filter(
    (action) => !allowed.Statement.some((each) => each.Effect === 'Allow' && covers(each, action)),
  );
  if (missing.length > 0)
    return {
      status: 'failed',
      saw: `It leaves the roles nothing of ${missing.join(', ')}, which they are made for.`,
      mend: `In the policy: { "Effect": "Allow", "Action": ${JSON.stringify(missing)}, "Resource": "*" }`,
    };
  return { status: 'ok', saw: `It has each of the ${needed.length} actions that the roles are made for.` };
}

/** What the role's own policies allow. */
function actionsOf(deployment: ExaminedDeployment, logicalId: string, policies: unknown): string[] {
  const documents = [
    ...v.parse(inline, policies).map(({ PolicyDocument: own }) => own),
    ...(deployment.synthesized?.ofType('AWS::IAM::Policy') ?? []).flatMap(({ properties }) => {
      const { Roles: roles, PolicyDocument: own } = v.parse(attached, properties);
      return roles.includes(`\${${logicalId}}`) ? [own] : [];
    }),
  ];
  return documents.flatMap(({ Statement }) =>
    Statement.flatMap(({ Effect, Action = [] }) => (Effect === 'Allow' ? Action : [])),
  );
}

/** Whether a statement is of an action, on whatever resource. */
function covers({ Action, NotAction }: v.InferOutput<typeof statement>, action: string): boolean {
  return NotAction ? !matches(NotAction, action, 'i') : matches(Action ?? [], action, 'i');
}
