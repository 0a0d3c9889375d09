import { SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { clusterOf } from '../exec-configuration.ts';
import {
  definitionOf,
  execServices,
  LOOK_AT_DEFINITIONS,
  LOOK_AT_TASKS,
  lastPart,
  tasksOf,
  type UsedService,
} from '../used-services.ts';

/** Whether the role of each task lets ECS Exec's agent work, its permissions boundary and the organization's policies included. */
export const taskRoles: Check = {
  name: 'task roles',
  actions: [...LOOK_AT_DEFINITIONS, ...LOOK_AT_TASKS, 'ecs:DescribeClusters', 'iam:SimulatePrincipalPolicy'],
  run: async (deployment) =>
    ofEach(
      await execServices(deployment),
      ({ label }) => label,
      (service) => look(deployment, service),
    ),
};

interface Needed {
  actions: string[];
  resource: string;
}

const CHANNELS: Needed = {
  actions: [
    'ssmmessages:CreateControlChannel',
    'ssmmessages:CreateDataChannel',
    'ssmmessages:OpenControlChannel',
    'ssmmessages:OpenDataChannel',
  ],
  resource: '*',
};

async function look(deployment: ExaminedDeployment, service: UsedService): Promise<Finding[]> {
  const [task] = await tasksOf(deployment, service);
  const definition = await definitionOf(deployment, service);
  if (task === undefined || definition === undefined) return [];
  const role = task.overrides?.taskRoleArn ?? definition.taskRoleArn;
  if (role === undefined) {
    const mend = `In the task definition ${definition.taskDefinitionArn}: "taskRoleArn": "ARN of a role that allows ${CHANNELS.actions.join(', ')}"`;
    return [
      task.launchType === 'FARGATE'
        ? { status: 'failed', saw: "There is no task role, so ECS Exec's agent may do nothing.", mend }
        : {
            status: 'warning',
            saw: "There is no task role, so ECS Exec's agent has the rights of the instance's profile, as every other container there has.",
            mend,
          },
    ];
  }
  const needed = [CHANNELS, ...(await forSessions(deployment, service))];
  const refused = (await Promise.all(needed.map((each) => refusedOf(deployment, role, each)))).flat();
  if (refused.length === 0) return [{ status: 'ok', saw: `${role} allows what ECS Exec needs.` }];
  const bounded = refused.filter(({ by }) => by !== undefined);
  const Statement = needed
    .map(({ actions, resource }) => ({
      Effect: 'Allow',
      Action: actions.filter((action) => refused.some((each) => each.action === action)),
      Resource: resource,
    }))
    .filter(({ Action }) => Action.length > 0);
  const denied = refused.filter(({ decision }) => decision === 'explicitDeny');
  return [
    {
      status: 'failed',
      saw: `${role} does not allow ${refused.map(({ action }) => action).join(', ')}${denied.length > 0 ? `; of these a policy denies ${denied.map(({ action }) => action).join(', ')}` : ''}${bounded.length > 0 ? `; ${bounded[0]?.by} leaves it nothing of ${bounded.map(({ action }) => action).join(', ')}` : ''}.`,
      mend:
        denied.length > 0
          ? `Take the denial out of the policies of ${lastPart(role)}, of its permissions boundary or of the organization.`
          : bounded.length > 0
            ? `In ${bounded[0]?.by}: { "Effect": "Allow", "Action": ${JSON.stringify(bounded.map(({ action }) => action))}, "Resource": "*" }; then doctor again, for the role's own policies`
            : `aws iam put-role-policy --role-name ${lastPart(role)} --policy-name ecs-exec --policy-document '${JSON.stringify({ Version: '2012-10-17', Statement })}'`,
    },
  ];
}

/** What the agent needs for the cluster's own settings of sessions. */
async function forSessions(deployment: ExaminedDeployment, { clusterArn }: UsedService): Promise<Needed[]> {
  const cluster = await clusterOf(deployment, clusterArn);
  const {
    kmsKeyId,
    logging,
    logConfiguration = {},
  } = cluster?.configuration?.executeCommandConfiguration ?? {};
  const [, partition = 'aws', , region = '', account = ''] = clusterArn.split(':');
  const needed: Needed[] = [];
  if (kmsKeyId !== undefined)
    needed.push({
      actions: ['kms:Decrypt'],
      resource: kmsKeyId.startsWith('arn:')
        ? kmsKeyId
        : `arn:${partition}:kms:${region}:${account}:key/${kmsKeyId.replace(/^key\//, '')}`,
    });
  if (logging !== 'OVERRIDE') return needed;
  const { cloudWatchLogGroupName: group, s3BucketName: bucket } = logConfiguration;
  if (group !== undefined)
    needed.push(
      { actions: ['logs:DescribeLogGroups'], resource: '*' },
      {
        actions: ['logs:CreateLogStream', 'logs:DescribeLogStreams', 'logs:PutLogEvents'],
        resource: `arn:${partition}:logs:${region}:${account}:log-group:${group}:*`,
      },
    );
  if (bucket !== undefined)
    needed.push({ actions: ['s3:PutObject'], resource: `arn:${partition}:s3:::${bucket}/*` });
  return needed;
}

async function refusedOf(
  { clients }: ExaminedDeployment,
  role: string,
  { actions, resource }: Needed,
): Promise<{ action: string; decision: string; by: string | undefined }[]> {
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
      return decision === 'allowed' ? [] : [{ action, decision, by }];
    },
  );
}
