import { ofSecret } from '../encryption.ts';
import { letListRuns } from '../list-runs.ts';
import { letFollowRuns, letRollServices } from '../roll-permissions.ts';
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

  letRollServices(
    job,
    services.map((service) => ({ ...service, clusterName: service.clusterName ?? clusterName })),
  );
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
