import { ofSecret } from '../encryption.ts';
import { letListRuns } from '../list-runs.ts';
import { letFollowRuns, letRollServices } from '../roll-permissions.ts';
import { functionArn, type UpkeepFunction } from '../upkeep-function.ts';
import { letWriteCopies, ownFields } from './credential-copies.ts';
import type { CredentialRotationProps } from './credential-rotation-props.ts';
import type { Credential, Rotated } from './rotated.ts';

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

/** What the job may do: of each credential what that one needs. */
export function letRun(
  job: UpkeepFunction,
  credentials: readonly (Credential & { readonly rotateSecretArn: string })[],
  { waitsFor = [], upkeep }: CredentialRotationProps,
): void {
  const all = credentials.map(({ rotated }) => rotated);
  job.allow(
    'ReadRotation',
    ['DescribeSecret', 'GetSecretValue', 'UpdateSecretVersionStage'].map(
      (action) => `secretsmanager:${action}`,
    ),
    all.map(({ secretArn }) => secretArn),
  );
  for (const [index, { rotated, rotateSecretArn }] of credentials.entries()) {
    const { secretArn, secretKeyArn } = rotated;
    // Neither by another function nor by other rules. A request that says nothing of them carries no key, or the secret's own.
    job.allow(numbered('StartRotation', index), ['secretsmanager:RotateSecret'], [secretArn], {
      ArnEqualsIfExists: { 'secretsmanager:RotationLambdaARN': rotateSecretArn },
      BoolIfExists: { 'secretsmanager:ModifyRotationRules': 'false' },
    });
    if (secretKeyArn)
      job.allow(numbered('DecryptSecret', index), ['kms:Decrypt'], [secretKeyArn], ofSecret(job, secretArn));
  }
  // Secrets Manager wants it of whoever starts a rotation.
  job.allow(
    'CallRotateSecret',
    ['lambda:InvokeFunction'],
    credentials.map(({ rotateSecretArn }) => rotateSecretArn),
  );
  // Several of one server have the same.
  const administrators = new Map(all.map((rotated) => [rotated.adminSecretArn, rotated]));
  for (const [index, rotated] of [...administrators.values()].entries())
    letReadAdministrator(job, rotated, index);
  letWriteCopies(
    job,
    credentials.flatMap(({ rotated, props }) => ownFields(rotated.secretArn, props.copies ?? [])[0]),
  );
  if (waitsFor.length > 0)
    letFollowRuns(
      job,
      waitsFor.map((other) => functionArn(job, `${upkeep.deployment}-${other}`)),
    );
  const { services = [], clusterName = '' } = all[0] ?? {};
  letRollServices(
    job,
    services.map((service) => ({ ...service, clusterName: service.clusterName ?? clusterName })),
  );
}

/** A statement's name, of which each is one of its own. */
function numbered(sid: string, index: number): string {
  return index === 0 ? sid : `${sid}${index}`;
}

function letReadAdministrator(
  upkeepFunction: UpkeepFunction,
  { adminSecretArn, adminSecretKeyArn }: Rotated,
  index = 0,
): void {
  if (!adminSecretArn) return;
  upkeepFunction.allow(
    numbered('ReadAdministrator', index),
    ['secretsmanager:GetSecretValue'],
    [adminSecretArn],
  );
  if (adminSecretKeyArn)
    upkeepFunction.allow(
      numbered('DecryptAdministrator', index),
      ['kms:Decrypt'],
      [adminSecretKeyArn],
      ofSecret(upkeepFunction, adminSecretArn),
    );
}
