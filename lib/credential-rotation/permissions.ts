import { Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { ofSecret } from '../encryption.ts';
import { letListRuns } from '../list-runs.ts';
import { functionArn, type UpkeepFunction } from '../upkeep-function.ts';
import { letWriteCopies, ownFields } from './credential-copies.ts';
import type { CredentialRotationProps } from './credential-rotation-props.ts';
import type { Rotated } from './rotated.ts';

/** What rotate-secret may do. */
export function letRotateSecret(
  rotateSecret: UpkeepFunction,
  jobArn: string,
  rotated: Rotated,
  { upkeep }: CredentialRotationProps,
): void {
  const { secretArn, secretKeyArn } = rotated;
  rotateSecret.allow(
    'RotateSecret',
    ['DescribeSecret', 'GetSecretValue', 'PutSecretValue', 'UpdateSecretVersionStage'].map(
      (action) => `secretsmanager:${action}`,
    ),
    [secretArn],
  );
  if (secretKeyArn)
    rotateSecret.allow(
      'EncryptSecret',
      ['kms:Decrypt', 'kms:GenerateDataKey'],
      [secretKeyArn],
      ofSecret(rotateSecret, secretArn),
    );
  letReadAdministrator(rotateSecret, rotated);
  letListRuns(rotateSecret, 'FindDelivery', [jobArn]);
  rotateSecret.allow('StartDelivery', ['lambda:InvokeFunction'], [upkeep.startRun.function.functionArn]);
}

/** What the job may do. */
export function letRun(
  job: UpkeepFunction,
  rotateSecretArn: string,
  rotated: Rotated,
  { copies = [], waitsFor = [], upkeep }: CredentialRotationProps,
): void {
  const { secretArn, secretKeyArn, clusterName, services } = rotated;
  job.allow(
    'ReadRotation',
    ['DescribeSecret', 'GetSecretValue', 'UpdateSecretVersionStage'].map(
      (action) => `secretsmanager:${action}`,
    ),
    [secretArn],
  );
  // Neither by another function nor by other rules. A request that says nothing of them carries no key, or the secret's own.
  job.allow('StartRotation', ['secretsmanager:RotateSecret'], [secretArn], {
    ArnEqualsIfExists: { 'secretsmanager:RotationLambdaARN': rotateSecretArn },
    BoolIfExists: { 'secretsmanager:ModifyRotationRules': 'false' },
  });
  // Secrets Manager wants it of whoever starts a rotation.
  job.allow('CallRotateSecret', ['lambda:InvokeFunction'], [rotateSecretArn]);
  if (secretKeyArn) job.allow('DecryptSecret', ['kms:Decrypt'], [secretKeyArn], ofSecret(job, secretArn));
  letReadAdministrator(job, rotated);
  letWriteCopies(job, ownFields(secretArn, copies)[0]);
  if (waitsFor.length > 0)
    letFollowRuns(
      job,
      waitsFor.map((other) => functionArn(job, `${upkeep.deployment}-${other}`)),
    );

  const places = services.map((service) => `${service.clusterName ?? clusterName}/${service.name}`);
  const clusters = [...new Set(services.map((service) => service.clusterName ?? clusterName))];
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
function letFollowRuns(job: UpkeepFunction, functionArns: string[]): void {
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

function letReadAdministrator(
  upkeepFunction: UpkeepFunction,
  { adminSecretArn, adminSecretKeyArn }: Rotated,
): void {
  if (!adminSecretArn) return;
  upkeepFunction.allow('ReadAdministrator', ['secretsmanager:GetSecretValue'], [adminSecretArn]);
  if (adminSecretKeyArn)
    upkeepFunction.allow(
      'DecryptAdministrator',
      ['kms:Decrypt'],
      [adminSecretKeyArn],
      ofSecret(upkeepFunction, adminSecretArn),
    );
}
