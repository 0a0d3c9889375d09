import {
  DescribeSecretCommand,
  GetResourcePolicyCommand,
  ResourceNotFoundException,
} from '@aws-sdk/client-secrets-manager';
import * as v from 'valibot';
import { type Check, couldNotLook, type Finding } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { type Needed, roleAllows } from '../role-allows.ts';
import { judgeSecretPolicy } from '../secret-policy.ts';
import { definitionOf, isKnown, LOOK_AT_DEFINITIONS, lastPart, serviceLabel } from '../used-services.ts';

/** Of a job that runs its command in a task of its own. */
export const newTaskSettings = v.object({
  clusterArn: v.string(),
  service: v.string(),
  container: v.string(),
  family: v.string(),
  command: v.unknown(),
  secrets: v.optional(v.record(v.string(), v.string()), {}),
});

/** Whether ECS could start the tasks that jobs run their commands in, and fetch the secrets for them. */
export const newTasks: Check = {
  name: 'new tasks',
  actions: [
    ...LOOK_AT_DEFINITIONS,
    'iam:SimulatePrincipalPolicy',
    'secretsmanager:DescribeSecret',
    'secretsmanager:GetResourcePolicy',
  ],
  async run(deployment) {
    const jobs = await deployment.settingsOf(newTaskSettings);
    const found = await Promise.all(
      jobs.map(async ({ job, settings }) => {
        const findings = await look(deployment, settings).catch((error) => [couldNotLook(error)]);
        return findings.map((finding) => ({ of: job, ...finding }));
      }),
    );
    return found.flat();
  },
};

async function look(
  deployment: ExaminedDeployment,
  { clusterArn, service: name, container, family, secrets }: v.InferOutput<typeof newTaskSettings>,
): Promise<Finding[]> {
  if (!isKnown(clusterArn) || !isKnown(name)) return [];
  const service = { label: serviceLabel(clusterArn, name), clusterArn, name: lastPart(name) };
  const definition = await definitionOf(deployment, service);
  // That the service is not there is told by the check of the services.
  if (definition === undefined) return [];
  const { taskDefinitionArn: arn, containerDefinitions = [], executionRoleArn: role } = definition;
  const failed = (saw: string, mend: string): Finding[] => [{ status: 'failed', saw, mend }];
  if (definition.family !== family)
    return failed(
      `The service has a task definition of the family ${definition.family}, and the job may start tasks of ${family} only.`,
      `taskDefinition: { family: '${definition.family}', … }   # of the job, then: npx cdk deploy --all`,
    );
  if (!containerDefinitions.some((each) => each.name === container))
    return failed(
      `The task definition has no container ${container}, but ${containerDefinitions.map((each) => each.name).join(', ')}.`,
      `container: '…'   # of the job's role, then: npx cdk deploy --all`,
    );
  // ARN, or ARN:KEY::, as a task definition has it.
  const arns = new Set(
    Object.values(secrets)
      .filter(isKnown)
      .map((from) => from.split(':').slice(0, 7).join(':')),
  );
  if (arns.size === 0) return [{ status: 'ok', saw: `It can be started of ${arn}.` }];
  if (role === undefined)
    return failed(
      'The task definition has no execution role, by which ECS fetches secrets for a task.',
      `In the task definition ${arn}: "executionRoleArn": "ARN of a role that allows secretsmanager:GetSecretValue"`,
    );
  const looked = await Promise.all([...arns].map((secret) => forSecret(deployment, secret)));
  const missing = looked.flatMap((each) => (Array.isArray(each) ? [] : [each]));
  if (missing.length > 0) return missing;
  const byPolicy = await Promise.all([...arns].map((secret) => policyFinding(deployment, { role, secret })));
  return [
    ...byPolicy.flatMap((finding) => finding ?? []),
    await roleAllows(
      deployment,
      role,
      looked.flatMap((each) => (Array.isArray(each) ? each : [])),
      {
        saw: `It can be started of ${arn}, and ${role} may fetch its secrets.`,
        policyName: 'secrets-of-new-tasks',
      },
    ),
  ];
}

/** What the secret's own policy has against it, if anything. */
async function policyFinding(
  { clients }: ExaminedDeployment,
  reading: { role: string; secret: string },
): Promise<Finding | undefined> {
  const { role, secret } = reading;
  const { ResourcePolicy: policy } = await clients.secretsManager.send(
    new GetResourcePolicyCommand({ SecretId: secret }),
  );
  const verdict = judgeSecretPolicy(policy, reading);
  if (verdict.kind === 'open') return undefined;
  const look = `aws secretsmanager get-resource-policy --secret-id ${secret}`;
  const by = 'sid' in verdict ? ` (its statement ${verdict.sid})` : '';
  if (verdict.kind === 'depends')
    return {
      status: 'warning',
      saw: `The policy of ${secret} denies its reading${by} by a condition that doctor cannot judge: ${verdict.on}.`,
      mend: `${look}   # see that it lets ${role} read from the tasks' network`,
    };
  return {
    status: 'failed',
    saw:
      verdict.why === 'denied'
        ? `The policy of ${secret} denies ${role} to read it${by}.`
        : `The secret ${secret} is of another account, and its policy does not allow ${role} to read it.`,
    mend: `${look}   # let it except, or allow, ${role}; then: aws secretsmanager put-resource-policy --secret-id ${secret} --resource-policy file://policy.json`,
  };
}

/** What whoever fetches a secret must be allowed; or that it is not there. */
async function forSecret({ clients }: ExaminedDeployment, arn: string): Promise<Needed[] | Finding> {
  const read: Needed = { actions: ['secretsmanager:GetSecretValue'], resource: arn };
  try {
    const { KmsKeyId: key } = await clients.secretsManager.send(new DescribeSecretCommand({ SecretId: arn }));
    const [, partition, , region, account] = arn.split(':');
    // Of AWS's own key, which an alias names, everyone in the account may make use.
    if (key === undefined || /alias\/aws\//.test(key)) return [read];
    const resource = key.startsWith('arn:') ? key : `arn:${partition}:kms:${region}:${account}:key/${key}`;
    return [read, { actions: ['kms:Decrypt'], resource }];
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
    return {
      status: 'failed',
      saw: `There is no secret ${arn}.`,
      mend: "aws secretsmanager list-secrets --query 'SecretList[].ARN' --output text   # the right one into the job's secrets",
    };
  }
}
