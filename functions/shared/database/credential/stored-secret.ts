import {
  DescribeSecretCommand,
  InvalidRequestException,
  ResourceNotFoundException,
  type SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { readSecretValue } from '../../run/secret-value.ts';
import { SecretInvalid } from '../contract/errors.ts';
import { type DatabaseSecret, parseSecret } from './secret.ts';

/** The label of the version in use; the one before it; the one that a rotation is making. */
export type Stage = 'AWSCURRENT' | 'AWSPREVIOUS' | 'AWSPENDING';

/** A version of a secret in Secrets Manager. */
export interface StoredSecret {
  versionId: string;
  secret: DatabaseSecret;
  /** When the version was made. Epoch milliseconds. */
  createdAt: number | undefined;
}

/**
 * Reads a version: one call.
 * @returns `undefined` if there is no such version, it has no value yet, as at the beginning of a rotation, or it does not
 * bear the stage that is asked for beside its id.
 * @throws SecretInvalid, SecretArnIncomplete, and what the SDK throws.
 */
export async function findSecret(
  client: SecretsManagerClient,
  arn: string,
  version: { stage?: Stage; versionId?: string },
): Promise<StoredSecret | undefined> {
  try {
    return await readVersion(client, arn, version);
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined;
    // So says Secrets Manager of a version that is there and has lost the label, as in a step that comes late.
    const isOfBoth = version.stage !== undefined && version.versionId !== undefined;
    if (isOfBoth && error instanceof InvalidRequestException) return undefined;
    throw error;
  }
}

/**
 * Reads the version in use: one call.
 * @throws SecretInvalid, SecretArnIncomplete, and what the SDK throws.
 */
export async function currentSecret(client: SecretsManagerClient, arn: string): Promise<StoredSecret> {
  try {
    return await readVersion(client, arn, { stage: 'AWSCURRENT' });
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
    throw new SecretInvalid(
      `The secret ${arn} does not exist or has no value. Write the credential into it. Secrets Manager says: ${error.message}`,
    );
  }
}

async function readVersion(
  client: SecretsManagerClient,
  arn: string,
  version: { stage?: Stage; versionId?: string },
): Promise<StoredSecret> {
  const answer = await readSecretValue(client, {
    SecretId: arn,
    ...(version.stage === undefined ? {} : { VersionStage: version.stage }),
    ...(version.versionId === undefined ? {} : { VersionId: version.versionId }),
  });
  return {
    versionId: answer.VersionId ?? '',
    secret: parseSecret(answer.SecretString, arn),
    createdAt: answer.CreatedDate?.getTime(),
  };
}

/** Which version bears which labels: one call. */
export async function stagesOf(
  client: SecretsManagerClient,
  arn: string,
): Promise<{ of: (versionId: string) => string[] | undefined; with: (stage: string) => string | undefined }> {
  const { VersionIdsToStages: versions = {} } = await client.send(
    new DescribeSecretCommand({ SecretId: arn }),
  );
  return {
    of: (versionId) => versions[versionId],
    with: (stage) => Object.keys(versions).find((versionId) => versions[versionId]?.includes(stage)),
  };
}

/** What retiring the old password must know, for `CredentialRotation.retire`: two calls, three during a rotation. */
export async function secretState(
  client: SecretsManagerClient,
  arn: string,
): Promise<{ current: DatabaseSecret; pending: DatabaseSecret | undefined }> {
  const stages = await stagesOf(client, arn);
  const currentId = stages.with('AWSCURRENT');
  const pendingId = stages.with('AWSPENDING');
  const version = async (id: string | undefined) =>
    id === undefined ? undefined : (await findSecret(client, arn, { versionId: id }))?.secret;
  const current = await version(currentId);
  if (current === undefined) {
    throw new SecretInvalid(`The secret ${arn} has no current value. Write the credential into it.`);
  }
  return { current, pending: pendingId === currentId ? undefined : await version(pendingId) };
}
