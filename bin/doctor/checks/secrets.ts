import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import * as v from 'valibot';
import { type Check, type Finding, ofEach } from '../check.ts';
import { describedSecret } from '../described-secret.ts';
import type { ExaminedDeployment } from '../examined-deployment.ts';
import { isKnown } from '../used-services.ts';
import { newTaskSettings } from './new-tasks.ts';

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
        ({ arn }) => arn.replace(/^.*:secret:/, ''),
        (secret) => look(deployment, secret, readValues),
      ),
  };
}

/** A secret that functions are to read, or to have others read. */
interface NamedSecret {
  arn: string;
  /** Fields that its JSON must have. */
  fields: string[];
  /** Whether a function reads it, which then must be allowed its key. */
  isRead: boolean;
}

/** What a command in containers gets: all of a secret, or a field of its JSON. */
const commandSecret = v.object({ secretArn: v.string(), key: v.optional(v.string()) });
const commandSettings = v.object({
  command: v.unknown(),
  roles: v.array(v.unknown()),
  secrets: v.optional(v.record(v.string(), commandSecret), {}),
  stdin: v.optional(v.union([v.string(), commandSecret])),
});
/** What is watched for new versions, by their numbers. */
const watchingSettings = v.object({ watched: v.array(v.object({ secretArn: v.optional(v.string()) })) });

/** Those of new tasks ECS reads, not the function: the check of the new tasks looks at them. */
async function namedSecrets(deployment: ExaminedDeployment): Promise<NamedSecret[]> {
  const settings = await Promise.all(
    deployment.jobs.map(
      async (job) => (await deployment.functionOf(job)).Environment?.Variables?.UPKEEP_SETTINGS ?? '{}',
    ),
  );
  const found = new Map<string, NamedSecret>();
  for (const { arn, fields, isRead } of settings.flatMap(secretsIn)) {
    if (!isKnown(arn)) continue;
    const known = found.get(arn) ?? { arn, fields: [], isRead: false };
    found.set(arn, {
      arn,
      fields: [...new Set([...known.fields, ...fields])],
      isRead: known.isRead || isRead,
    });
  }
  return [...found.values()].sort((one, other) => (one.arn < other.arn ? -1 : 1));
}

function secretsIn(text: string): NamedSecret[] {
  const settings: unknown = JSON.parse(text);
  if (v.is(newTaskSettings, settings)) return [];
  const command = v.safeParse(commandSettings, settings);
  if (command.success) {
    const { secrets, stdin } = command.output;
    const all = [...Object.values(secrets), ...(typeof stdin === 'object' ? [stdin] : [])];
    return all.map(({ secretArn: arn, key }) => ({
      arn,
      fields: key === undefined ? [] : [key],
      isRead: true,
    }));
  }
  const watching = v.safeParse(watchingSettings, settings);
  if (watching.success)
    return watching.output.watched.flatMap(({ secretArn: arn }) =>
      arn === undefined ? [] : [{ arn, fields: [], isRead: false }],
    );
  const arns = text.match(/arn:[\w-]+:secretsmanager:[^"\s]+/g) ?? [];
  return arns.map((arn) => ({ arn, fields: ['username', 'password'], isRead: true }));
}

async function look(
  deployment: ExaminedDeployment,
  { arn, fields, isRead }: NamedSecret,
  readValues: boolean,
): Promise<Finding> {
  const failed = (saw: string, mend: string): Finding => ({ status: 'failed', saw, mend });
  const [, , , itsRegion] = arn.split(':');
  const region = await deployment.region();
  if (itsRegion !== region)
    return failed(
      `It is in ${itsRegion}, and the functions read from ${region}.`,
      `aws secretsmanager replicate-secret-to-regions --region ${itsRegion} --secret-id ${arn} --add-replica-regions Region=${region}   # the replica's ARN into the configuration`,
    );
  const found = await describedSecret(deployment, arn);
  if (found === undefined)
    return failed(
      'There is no such secret.',
      "aws secretsmanager list-secrets --query 'SecretList[].ARN' --output text   # the whole ARN into the configuration",
    );
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
  if (!stages.includes('AWSCURRENT')) return failed('It has no value yet.', putSecret(arn, fields));
  if (!isRead) return { status: 'ok', saw: 'It is there, and has a value; no function reads that.' };
  const { KmsKeyId: key } = found;
  const keyId = key?.match(/[0-9a-f]{8}-[0-9a-f-]{27}|mrk-[0-9a-f]{32}/)?.[0];
  if (keyId !== undefined && !JSON.stringify(deployment.synthesized?.stack.resources).includes(keyId))
    return failed(
      `It is encrypted with the key ${key}, which no function is allowed to use.`,
      `encryptionKeyArn: '${await keyArn(deployment, keyId)}'   # beside secretArn in the configuration`,
    );
  if (!readValues)
    return { status: 'ok', saw: 'It is there, and has a value. --read-secrets looks for its fields.' };
  const { SecretString: value } = await deployment.clients.secretsManager.send(
    new GetSecretValueCommand({ SecretId: arn }),
  );
  const missing = missingFields(value, fields);
  return missing.length > 0
    ? failed(`It has no ${missing.map((name) => `"${name}"`).join(' and no ')}.`, putSecret(arn, fields))
    : {
        status: 'ok',
        saw:
          fields.length > 0
            ? `It has ${fields.map((name) => `"${name}"`).join(' and ')}.`
            : 'It is there, and has a value.',
      };
}

function putSecret(arn: string, fields: string[]): string {
  const text = fields.length > 0 ? `{${fields.map((name) => `"${name}": "…"`).join(', ')}}` : '…';
  return `aws secretsmanager put-secret-value --secret-id ${arn} --secret-string '${text}'   # with what else it has`;
}

async function keyArn(deployment: ExaminedDeployment, keyId: string): Promise<string> {
  return `arn:aws:kms:${await deployment.region()}:${await deployment.account()}:key/${keyId}`;
}

/** Of what a secret must have. No value is told. */
function missingFields(value: string | undefined, wanted: string[]): string[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(value ?? '');
  } catch {
    parsed = undefined;
  }
  const fields: Record<string, unknown> = typeof parsed === 'object' && parsed !== null ? { ...parsed } : {};
  return wanted.filter((name) => typeof fields[name] !== 'string' || fields[name] === '');
}
