import { SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam';
import type { Finding } from './check.ts';
import type { ExaminedDeployment } from './examined-deployment.ts';
import { lastPart } from './used-services.ts';

/** What somebody must be allowed. */
export interface Needed {
  actions: string[];
  resource: string;
  /**
   * Whether the resource's own policy allows it to the role, so that the role's policies need not; its permissions boundary, the
   * organization's policies and denials hold all the same. @default false
   */
  isGranted?: boolean | undefined;
}

/**
 * Whether a role allows all of it, its permissions boundary and the organization's policies included; not the policies of what it is on.
 * Calls `iam:SimulatePrincipalPolicy`.
 * @param well what is said if so, and the name of the policy by which it is mended.
 */
export async function roleAllows(
  deployment: ExaminedDeployment,
  role: string,
  needed: Needed[],
  well: { saw: string; policyName: string },
): Promise<Finding> {
  const refused = (await Promise.all(needed.map((each) => refusedOf(deployment, role, each)))).flat();
  if (refused.length === 0) return { status: 'ok', saw: well.saw };
  const bounded = refused.filter(({ by }) => by !== undefined);
  const namesOf = (all: { action: string }[]) => [...new Set(all.map(({ action }) => action))];
  const Statement = needed
    .map(({ actions, resource }) => ({
      Effect: 'Allow',
      Action: actions.filter((action) =>
        refused.some((each) => each.action === action && each.resource === resource),
      ),
      Resource: resource,
    }))
    .filter(({ Action }) => Action.length > 0);
  const denied = refused.filter(({ decision }) => decision === 'explicitDeny');
  return {
    status: 'failed',
    saw: `${role} does not allow ${namesOf(refused).join(', ')}${denied.length > 0 ? `; of these a policy denies ${namesOf(denied).join(', ')}` : ''}${bounded.length > 0 ? `; ${bounded[0]?.by} leaves it nothing of ${namesOf(bounded).join(', ')}` : ''}.`,
    mend:
      denied.length > 0
        ? `Take the denial out of the policies of ${lastPart(role)}, of its permissions boundary or of the organization.`
        : bounded.length > 0
          ? `In ${bounded[0]?.by}: { "Effect": "Allow", "Action": ${JSON.stringify(namesOf(bounded))}, "Resource": "*" }; then doctor again, for the role's own policies`
          : `aws iam put-role-policy --role-name ${lastPart(role)} --policy-name ${well.policyName} --policy-document '${JSON.stringify({ Version: '2012-10-17', Statement })}'`,
  };
}

async function refusedOf(
  { clients }: ExaminedDeployment,
  role: string,
  { actions, resource, isGranted = false }: Needed,
): Promise<{ action: string; resource: string; decision: string; by: string | undefined }[]> {
  const { EvaluationResults: results = [] } = await clients.iam.send(
    new SimulatePrincipalPolicyCommand({
      PolicySourceArn: role,
      ActionNames: actions,
      ...(resource !== '*' && { ResourceArns: [resource] }),
    }),
  );
  return results.flatMap(
    ({
      EvalActionName: action = '',
      EvalDecision: decision = '',
      PermissionsBoundaryDecisionDetail: boundary,
      OrganizationsDecisionDetail: organization,
    }) => {
      const by =
        boundary?.AllowedByPermissionsBoundary === false
          ? `the permissions boundary of ${lastPart(role)}`
          : organization?.AllowedByOrganizations === false
            ? "the organization's policies"
            : undefined;
      const isAllowed =
        decision === 'allowed' || (isGranted && decision === 'implicitDeny' && by === undefined);
      return isAllowed ? [] : [{ action, resource, decision, by }];
    },
  );
}
