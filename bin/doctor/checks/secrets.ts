import {
  DescribeSecretCommand,
  type DescribeSecretResponse,
  GetSecretValueCommand,
  ResourceNotFoundException,
} from '@aws-sdk/client-secrets-manager';
import { type Check, type Finding, ofEach } from '../check.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';

/** Whether the secrets are there that the functions are to read. Their values are read only where one is told to. */
export function secrets(readValues: boolean): Check {
  return {
    name: 'secrets',
    when: 'before the deploy',
    actions: [
      'secretsmanager:DescribeSecret',
      ...(readValues ? ['secretsmanager:GetSecretValue', 'kms:Decrypt'] : []),
    ],
    run: async (deployment) =>
      ofEach(
        await namedSecrets(deployment),
        (arn) => arn.replace(/^.*:secret:/, ''),
        (arn) => look(deployment, arn, readValues),
      ),
  };
}

async function namedSecrets(deployment: ExaminedDeployment): Promise<string[]> {
  const settings = await Promise.all(
    deployment.jobs.map(
      async (job) => (await deployment.functionOf(job)).Environment?.Variables?.UPKEEP_SETTINGS,
    ),
  );
  return [
    ...new Set(settings.flatMap((text) => text?.match(/arn:[\w-]+:secretsmanager:[^"\s]+/g) ?? [])),
  ].sort();
}

async function look(deployment: ExaminedDeployment, arn: string, readValues: boolean): Promise<Finding> {
  const failed = (saw: string, mend: string): Finding => ({ status: 'failed', saw, mend });
  const [, , , itsRegion] = arn.split(':');
  const region = await deployment.region();
  if (itsRegion !== region)
    return failed(
      `It is in ${itsRegion}, and the functions read from ${region}.`,
      `aws secretsmanager replicate-secret-to-regions --region ${itsRegion} --secret-id ${arn} --add-replica-regions Region=${region}   # the replica's ARN into the configuration`,
    );
  const { secretsManager } = deployment.clients;
  let found: DescribeSecretResponse;
  try {
    found = await secretsManager.send(new DescribeSecretCommand({ SecretId: arn }));
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
    return failed(
      'There is no such secret.',
      "aws secretsmanager list-secrets --query 'SecretList[].ARN' --output text   # the whole ARN into the configuration",
    );
  }
  if (found.ARN !== undefined && found.ARN !== arn)
    return failed(
      `Its ARN is ${found.ARN}: a function may read only what is named to the last character.`,
      `${found.ARN}   # in place of ${arn} in the configuration`,
    );
  if (found.DeletedDate !== undefined)
    return failed(
      `It is to be deleted, since ${found.DeletedDate.toISOString().slice(0, 10)}.`,
      `aws secretsmanager restore-secret --secret-id ${arn}`,
    );
  const stages = Object.values(found.VersionIdsToStages ?? {}).flat();
  if (!stages.includes('AWSCURRENT')) return failed('It has no value yet.', putSecret(arn));
  const { KmsKeyId: key } = found;
  const keyId = key?.match(/[0-9a-f]{8}-[0-9a-f-]{27}|mrk-[0-9a-f]{32}/)?.[0];
  if (keyId !== undefined && !JSON.stringify(deployment.synthesized?.stack.resources).includes(keyId))
    return failed(
      `It is encrypted with the key ${key}, which no function is allowed to use.`,
      `encryptionKeyArn: '${await keyArn(deployment, keyId)}'   # beside secretArn in the configuration`,
    );
  if (!readValues)
    return { status: 'ok', saw: 'It is there, and has a value. --read-secrets looks for its fields.' };
  const { SecretString: value } = await secretsManager.send(new GetSecretValueCommand({ SecretId: arn }));
  const missing = missingFields(value);
  return missing.length > 0
    ? failed(`It has no ${missing.map((name) => `"${name}"`).join(' and no ')}.`, putSecret(arn))
    : { status: 'ok', saw: 'It has "username" and "password".' };
}

function putSecret(arn: string): string {
  return `aws secretsmanager put-secret-value --secret-id ${arn} --secret-string '{"username": "…", "password": "…"}'   # with what else its JSON has`;
}

async function keyArn(deployment: ExaminedDeployment, keyId: string): Promise<string> {
  return `arn:aws:kms:${await deployment.region()}:${await deployment.account()}:key/${keyId}`;
}

/** Of what every secret here must have. No value is told. */
function missingFields(value: string | undefined): string[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(value ?? '');
  } catch {
    parsed = undefined;
  }
  const fields: Record<string, unknown> = typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  return ['username', 'password'].filter((name) => typeof fields[name] !== 'string' || fields[name] === '');
}
