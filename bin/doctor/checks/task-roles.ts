import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { clusterOf } from '../exec-configuration.ts';
import { type Needed, roleAllows } from '../role-allows.ts';
import {
  definitionOf,
  execServices,
  LOOK_AT_DEFINITIONS,
  LOOK_AT_TASKS,
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
  return [
    await roleAllows(deployment, role, needed, {
      saw: `${role} allows what ECS Exec needs.`,
      policyName: 'ecs-exec',
    }),
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
