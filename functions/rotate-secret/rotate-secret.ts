import type { LambdaClient } from '@aws-sdk/client-lambda';
import {
  InvalidParameterException,
  PutSecretValueCommand,
  ResourceExistsException,
  type SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import type { Login } from '../shared/database/contract/engine.ts';
import { RotationRefused } from '../shared/database/contract/errors.ts';
import type { CredentialRotation } from '../shared/database/contract/rotation.ts';
import { randomPassword } from '../shared/database/credential/password.ts';
import { checkBelongs, checkCopies, secretWith } from '../shared/database/credential/secret.ts';
import { administratorOf } from '../shared/database/credential/settings.ts';
import { currentSecret, findSecret, stagesOf } from '../shared/database/credential/stored-secret.ts';
import { credentialRotation } from '../shared/database/registry.ts';
import type { RotateSecretSettings, RotationEvent } from './contract.ts';
import { startDelivery } from './start-delivery.ts';

/** What the four steps work with. */
export interface RotateSecretParts {
  settings: RotateSecretSettings;
  secretsManager: SecretsManagerClient;
  lambda: LambdaClient;
}

/** What a step did, for the log. */
export type StepOutcome =
  | 'created'
  | 'was-created'
  | 'set'
  | 'was-set'
  | 'healed'
  | 'tested'
  | 'finished'
  | 'was-finished';

/**
 * Does one of the four steps of a rotation. Each may be repeated, run late, or find the work of an earlier attempt:
 * it then finds that out and goes on from there.
 */
export async function rotateSecret(parts: RotateSecretParts, event: RotationEvent): Promise<StepOutcome> {
  const { settings } = parts;
  // A secret that is configured by its name has an ARN without the random suffix, a hyphen and six characters.
  if (event.SecretId !== settings.secretArn && event.SecretId.slice(0, -7) !== settings.secretArn) {
    throw new RotationRefused(
      `This function rotates ${settings.secretArn}, not ${event.SecretId}. Give the other secret a function of its own.`,
    );
  }
  if (event.SecretId.includes(':secret:rds!')) {
    throw new RotationRefused(
      `RDS itself manages and rotates ${event.SecretId}; it may serve as the administrator's secret only. ` +
        'Give the application a user and a secret of its own.',
    );
  }
  const rotation = await credentialRotation(settings.database, settings.strategy);
  switch (event.Step) {
    case 'createSecret':
      return createSecret(parts, event, rotation);
    case 'setSecret':
      return setSecret(parts, event, rotation);
    case 'testSecret':
      return testSecret(parts, event, rotation);
    case 'finishSecret':
      return finishSecret(parts, event);
  }
}

/** Writes the version that is to come, with a new password. Four calls of Secrets Manager; two where an earlier attempt wrote it. */
async function createSecret(
  { settings, secretsManager }: RotateSecretParts,
  { SecretId, ClientRequestToken, RotationToken }: RotationEvent,
  rotation: CredentialRotation,
): Promise<StepOutcome> {
  const stages = await stagesOf(secretsManager, SecretId);
  const labels = stages.of(ClientRequestToken) ?? [];
  if (labels.includes('AWSCURRENT')) return 'was-created';
  if (!labels.includes('AWSPENDING')) throw notPending(SecretId, ClientRequestToken);
  // Read, as the contract's samples do: not every Secrets Manager refuses another value for a version that has one.
  const pending = { versionId: ClientRequestToken, stage: 'AWSPENDING' } as const;
  if ((await findSecret(secretsManager, SecretId, pending)) !== undefined) return 'was-created';
  const { secret: current } = await currentSecret(secretsManager, SecretId);
  checkBelongs(current, SecretId, settings.database);
  checkCopies(current, SecretId, settings.fields);
  const next: Login = {
    username: rotation.nextUsername(current.username),
    password: randomPassword(settings.password),
  };
  try {
    await secretsManager.send(
      new PutSecretValueCommand({
        SecretId,
        ClientRequestToken,
        ...(RotationToken === undefined ? {} : { RotationToken }),
        SecretString: secretWith(current, next, settings.fields),
        VersionStages: ['AWSPENDING'],
      }),
    );
    return 'created';
  } catch (error) {
    // Another attempt at the same time was first: its value counts.
    if (error instanceof ResourceExistsException) return 'was-created';
    throw error;
  }
}

/** Makes the new credential valid in the database, beside the current one. Three calls. */
async function setSecret(
  { settings, secretsManager }: RotateSecretParts,
  { SecretId, ClientRequestToken }: RotationEvent,
  rotation: CredentialRotation,
): Promise<StepOutcome> {
  const readCurrent = async () => {
    const { versionId, secret } = await currentSecret(secretsManager, SecretId);
    return versionId === ClientRequestToken ? undefined : secret;
  };
  const found = await findSecret(secretsManager, SecretId, {
    versionId: ClientRequestToken,
    stage: 'AWSPENDING',
  });
  if (found === undefined) {
    if ((await readCurrent()) === undefined) return 'was-finished';
    throw notPending(SecretId, ClientRequestToken);
  }
  const pending = found.secret;
  checkBelongs(pending, SecretId, settings.database);
  const administrator = await administratorOf(settings, secretsManager, pending);
  return rotation.set({
    admin: administrator ?? (await currentSecret(secretsManager, SecretId)).secret,
    pending,
    current: async () => {
      const current = await readCurrent();
      if (current === undefined) return undefined;
      checkBelongs(current, SecretId, settings.database);
      const expected = rotation.nextUsername(current.username);
      if (pending.username === expected) return current;
      throw new RotationRefused(
        `The version ${ClientRequestToken} of ${SecretId} is of the user ${pending.username}, and ${expected}'s turn has come. ` +
          'Take the label AWSPENDING from it, and rotate again.',
      );
    },
    previous: async () => (await findSecret(secretsManager, SecretId, { stage: 'AWSPREVIOUS' }))?.secret,
  });
}

/** Logs in with the new credential. One call; two where the current user is looked at too, to compare what both may do. */
async function testSecret(
  { settings, secretsManager }: RotateSecretParts,
  { SecretId, ClientRequestToken }: RotationEvent,
  rotation: CredentialRotation,
): Promise<StepOutcome> {
  // A schedule that does not rotate at once has this step alone run, on a version that need not have a value.
  const tested =
    (await findSecret(secretsManager, SecretId, { versionId: ClientRequestToken })) ??
    (await currentSecret(secretsManager, SecretId));
  checkBelongs(tested.secret, SecretId, settings.database);
  // Before its label is moved the current one is the other user's, with alternating users.
  await rotation.test(tested.secret, async () => (await currentSecret(secretsManager, SecretId)).secret);
  return 'tested';
}

/** Makes the new version the current one, and sees to it that the containers get it. Two calls. */
async function finishSecret(
  { settings, secretsManager, lambda }: RotateSecretParts,
  { SecretId, ClientRequestToken }: RotationEvent,
): Promise<StepOutcome> {
  const stages = await stagesOf(secretsManager, SecretId);
  const labels = stages.of(ClientRequestToken) ?? [];
  const done = labels.includes('AWSCURRENT');
  if (!done) {
    if (!labels.includes('AWSPENDING')) throw notPending(SecretId, ClientRequestToken);
    const current = stages.with('AWSCURRENT');
    try {
      await secretsManager.send(
        new UpdateSecretVersionStageCommand({
          SecretId,
          VersionStage: 'AWSCURRENT',
          MoveToVersionId: ClientRequestToken,
          ...(current === undefined ? {} : { RemoveFromVersionId: current }),
        }),
      );
    } catch (error) {
      // Of two at once the later one names a version that the label has left: it has come where it was to go.
      if (!(error instanceof InvalidParameterException)) throw error;
      const now = await stagesOf(secretsManager, SecretId);
      if (!now.of(ClientRequestToken)?.includes('AWSCURRENT')) throw error;
    }
  }
  // Also when an earlier attempt had moved the label: it may have ended right after.
  if (settings.delivery !== undefined) await startDelivery(lambda, settings.deployment, settings.delivery);
  return done ? 'was-finished' : 'finished';
}

function notPending(arn: string, token: string): RotationRefused {
  return new RotationRefused(
    `The version ${token} of ${arn} is not, or no longer, the one of a rotation (AWSPENDING). Nothing was changed. Rotate again.`,
  );
}
