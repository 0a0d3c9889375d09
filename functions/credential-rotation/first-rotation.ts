import { type SecretsManagerClient, UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import { stagesOf } from '../shared/database/credential/stored-secret.ts';
import { logger } from '../shared/run/publish-report.ts';

/** Borne by the version of the last rotation after which the old credential was retired. */
const FINISHED_LABEL = 'UPKEEPFINISHED';
/** Borne by the version during which it was told that somebody has given the user a second password. */
const TOLD_LABEL = 'UPKEEPTOLD';

/** Whether no rotation of a secret has ended yet with the retirement of the old credential. */
export function isFirstRotation(versions: Record<string, string[]> | undefined): boolean {
  return !Object.values(versions ?? {}).some((labels) => labels.includes(FINISHED_LABEL));
}

/**
 * Whether no rotation can have left another password than that of the current version: the one that made it has ended, or
 * there was none, and none has begun since.
 */
export function isSettled(versions: Record<string, string[]> | undefined): boolean {
  const labels = Object.values(versions ?? {});
  const current = labels.find((each) => each.includes('AWSCURRENT')) ?? [];
  const isPending = labels.some((each) => each.includes('AWSPENDING') && !each.includes('AWSCURRENT'));
  const hasPrevious = labels.some((each) => each.includes('AWSPREVIOUS'));
  return !isPending && (current.includes(FINISHED_LABEL) || !hasPrevious);
}

/** Whether a second password that somebody has given the user was told during the current version. */
export function isTold(versions: Record<string, string[]> | undefined): boolean {
  return Object.values(versions ?? {}).some(
    (labels) => labels.includes('AWSCURRENT') && labels.includes(TOLD_LABEL),
  );
}

/** Labels the current version: its rotation has ended. Two calls. Where that fails the next rotation is as careful as the first. */
export function labelFinished(client: SecretsManagerClient, arn: string): Promise<void> {
  return labelCurrent(client, arn, FINISHED_LABEL);
}

/** Labels the current version: it was told. Two calls. Where that fails the next run tells it again. */
export function labelTold(client: SecretsManagerClient, arn: string): Promise<void> {
  return labelCurrent(client, arn, TOLD_LABEL);
}

async function labelCurrent(client: SecretsManagerClient, arn: string, label: string): Promise<void> {
  try {
    const stages = await stagesOf(client, arn);
    const current = stages.with('AWSCURRENT');
    const before = stages.with(label);
    if (current === undefined || before === current) return;
    await client.send(
      new UpdateSecretVersionStageCommand({
        SecretId: arn,
        VersionStage: label,
        MoveToVersionId: current,
        ...(before !== undefined && { RemoveFromVersionId: before }),
      }),
    );
  } catch (error) {
    logger.warn(
      `${label} could not be noted in the secret's labels: ${error instanceof Error ? error.message : error}`,
    );
  }
}
