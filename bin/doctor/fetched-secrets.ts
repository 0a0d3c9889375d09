import type { TaskDefinition } from '@aws-sdk/client-ecs';
import { GetResourcePolicyCommand } from '@aws-sdk/client-secrets-manager';
import { type SecretReference, secretReference } from '../../functions/shared/roll/secret-references.ts';
import type { Finding } from './check.ts';
import { describedSecret } from './described-secret.ts';
import type { ExaminedDeployment } from './examined-deployment.ts';
import { type Needed, roleAllows } from './role-allows.ts';
import { judgeSecretPolicy } from './secret-policy.ts';

/** The IAM actions of {@link fetchFindings}. */
export const FETCH_ACTIONS = [
  'iam:SimulatePrincipalPolicy',
  'secretsmanager:DescribeSecret',
  'secretsmanager:GetResourcePolicy',
];

/** What ECS is to fetch for a task before it starts, by the execution role of its task definition. */
export interface Fetched {
  definition: TaskDefinition;
  /** Each as a task definition has it (`valueFrom`): of Secrets Manager, or the name or ARN of a parameter. At least one. */
  references: readonly string[];
  /** What is said where nothing is in the way. */
  saw: (role: string) => string;
  /** Where the ARN of a secret that is there is to be written. */
  list: string;
}

/**
 * Whether ECS could fetch all of it. Of parameters it is judged whether the role may read them, not whether they are there, nor with
 * which key they are encrypted; the value of none is read.
 */
export async function fetchFindings(
  deployment: ExaminedDeployment,
  { definition, references, saw, list }: Fetched,
): Promise<Finding[]> {
  const { taskDefinitionArn, executionRoleArn: role } = definition;
  if (role === undefined)
    return [
      {
        status: 'failed',
        saw: 'The task definition has no execution role, by which ECS fetches secrets for a task.',
        mend: `In the task definition ${taskDefinitionArn}: "executionRoleArn": "ARN of a role that allows secretsmanager:GetSecretValue"`,
      },
    ];
  const byArn = Map.groupBy(
    references.flatMap((each) => secretReference(each) ?? []),
    ({ arn }) => arn,
  );
  const looked = await Promise.all(
    [...byArn].map(([arn, all]) => lookAtSecret(deployment, { arn, all, role, list })),
  );
  const needed = [...looked.flatMap((each) => each.needed), ...forParameters(references, taskDefinitionArn)];
  const wrong = looked.flatMap(({ findings }) => findings);
  if (needed.length === 0) return wrong;
  const allowed = await roleAllows(deployment, role, needed, {
    saw: saw(role),
    policyName: 'secrets-of-tasks',
  });
  // That all of it may be fetched is no news beside what is not there.
  return allowed.status === 'ok' && wrong.some(({ status }) => status === 'failed')
    ? wrong
    : [...wrong, allowed];
}

function forParameters(references: readonly string[], definitionArn = ''): Needed[] {
  const [, partition, , region, account] = definitionArn.split(':');
  const names = references.filter((each) => secretReference(each) === undefined);
  return [...new Set(names)].map((name) => ({
    actions: ['ssm:GetParameters'],
    resource: name.startsWith('arn:')
      ? name
      : `arn:${partition}:ssm:${region}:${account}:parameter/${name.replace(/^\//, '')}`,
  }));
}

/** What whoever fetches a secret must be allowed, and what is in the way of it besides. */
async function lookAtSecret(
  deployment: ExaminedDeployment,
  { arn, all, role, list }: { arn: string; all: SecretReference[]; role: string; list: string },
): Promise<{ needed: Needed[]; findings: Finding[] }> {
  const read: Needed = { actions: ['secretsmanager:GetSecretValue'], resource: arn };
  const [, partition, , region, account] = arn.split(':');
  // Asked here, Secrets Manager would know of none in another region.
  if (region !== (await deployment.region())) return { needed: [read], findings: [] };
  const failed = (saw: string, mend: string) => ({
    needed: [],
    findings: [{ status: 'failed' as const, saw, mend }],
  });
  const found = await describedSecret(deployment, arn);
  if (found === undefined)
    return failed(
      `There is no secret ${arn}.`,
      `aws secretsmanager list-secrets --query 'SecretList[].ARN' --output text   # the right one ${list}`,
    );
  if (found.DeletedDate !== undefined)
    return failed(
      `The secret ${arn} is to be deleted, since ${found.DeletedDate.toISOString().slice(0, 10)}: no task that starts gets it.`,
      `aws secretsmanager restore-secret --secret-id ${arn}`,
    );
  const stages = found.VersionIdsToStages ?? {};
  const labels = Object.values(stages).flat();
  const gone = all.find(({ id, stage }) => (id ? !(id in stages) : !labels.includes(stage || 'AWSCURRENT')));
  if (gone !== undefined)
    return failed(
      gone.id
        ? `The secret ${arn} has no version ${gone.id}, which the task definition names.`
        : `No version of the secret ${arn} bears the label ${gone.stage || 'AWSCURRENT'}, by which the task definition reads it.`,
      `aws secretsmanager list-secret-version-ids --secret-id ${arn}   # the one that is meant ${list}`,
    );
  const { KmsKeyId: key } = found;
  // Of AWS's own key, which an alias names, everyone in the account may make use.
  const decrypt: Needed[] =
    key === undefined || /alias\/aws\//.test(key)
      ? []
      : [
          {
            actions: ['kms:Decrypt'],
            resource: key.startsWith('arn:') ? key : `arn:${partition}:kms:${region}:${account}:key/${key}`,
          },
        ];
  const { ResourcePolicy: policy } = await deployment.clients.secretsManager.send(
    new GetResourcePolicyCommand({ SecretId: arn }),
  );
  const verdict = judgeSecretPolicy(policy, { role, secret: arn });
  if (verdict.kind === 'open')
    return { needed: [{ ...read, isGranted: verdict.grants }, ...decrypt], findings: [] };
  return { needed: [read, ...decrypt], findings: [policyFinding(verdict, { role, secret: arn })] };
}

/** What the secret's own policy has against it. */
function policyFinding(
  verdict: Exclude<ReturnType<typeof judgeSecretPolicy>, { kind: 'open' }>,
  { role, secret }: { role: string; secret: string },
): Finding {
  const look = `aws secretsmanager get-resource-policy --secret-id ${secret}`;
  const by = verdict.sid === undefined ? '' : ` (its statement ${verdict.sid})`;
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
