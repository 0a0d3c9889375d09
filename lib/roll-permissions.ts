import { Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { UpkeepFunction } from './upkeep-function.ts';

/** Lets a job replace the tasks of services, which it names, and of no others. */
export function letRollServices(
  job: UpkeepFunction,
  services: readonly { readonly name: string; readonly clusterName: string }[],
): void {
  const places = services.map(({ name, clusterName }) => `${clusterName}/${name}`);
  const clusters = [...new Set(services.map(({ clusterName }) => clusterName))];
  const inCluster = {
    ArnEquals: { 'ecs:cluster': clusters.map((name) => ecsArn(job, 'cluster', name)) },
  };
  const tasks = clusters.map((name) => ecsArn(job, 'task', `${name}/*`));
  const serviceArns = places.map((name) => ecsArn(job, 'service', name));
  // UpdateService carries keys for the task definition and for ECS Exec, but no page says whether they have the service's
  // own values where a request names neither, as ours: a condition on them could stop every roll, so there is none, and
  // the role could give the named services another revision, or switch ECS Exec on. For the count of tasks there is no key.
  // `wa-upkeep doctor --permissions` finds out on AWS.
  job.allow(
    'RollServices',
    ['ecs:DescribeServices', 'ecs:UpdateService', 'ecs:ListServiceDeployments'],
    serviceArns,
  );
  const deployments = places.map((name) => ecsArn(job, 'service-deployment', `${name}/*`));
  // Of both: the reference has the service among the action's required resource types, and so has ECS's guide
  // (viewing service history).
  job.allow('FollowDeployments', ['ecs:DescribeServiceDeployments'], [...serviceArns, ...deployments]);
  job.allow('ListTasks', ['ecs:ListTasks'], ['*'], inCluster);
  job.allow('ReplaceTasks', ['ecs:DescribeTasks', 'ecs:StopTask'], tasks, inCluster);
  job.allow('ReadTaskDefinitions', ['ecs:DescribeTaskDefinition'], ['*']);
  job.acceptWildcard(
    '*',
    'ECS lists tasks and describes task definitions on no resource that a policy could name; for the tasks the condition limits it to the clusters of the services.',
  );
  for (const running of tasks)
    job.acceptWildcard(running, 'Which tasks run is not known before: they are those of the cluster.');
  for (const deployment of deployments)
    job.acceptWildcard(deployment, 'A deployment has its id when it begins; these are those of the service.');
}

/** It asks whether the runs that went on when it began have ended. */
export function letFollowRuns(job: UpkeepFunction, functionArns: string[]): void {
  const executions = functionArns.map((arn) => `${arn}:*`);
  job.allow('FollowOtherRuns', ['lambda:GetDurableExecution'], executions);
  for (const runs of executions)
    job.acceptWildcard(
      runs,
      "A run's ARN has the function's version that it began with, and an id that Lambda draws.",
    );
}

/** The ARN of something of ECS, in the stack's region and account. */
export function ecsArn(scope: Construct, resource: string, name: string): string {
  const { partition, region, account } = Stack.of(scope);
  return `arn:${partition}:ecs:${region}:${account}:${resource}/${name}`;
}
