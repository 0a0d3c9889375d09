import { type SecretsManagerClient, UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import { stagesOf } from '../shared/database/credential/stored-secret.ts';
import { logger } from '../shared/run/publish-report.ts';

/** Borne by the version of the last rotation after which the old credential was retired. */
const FINISHED_LABEL = 'UPKEEPFINISHED';

/** Whether no rotation of a secret has ended yet with the retirement of the old credential. */
export function isFirstRotation(versions: Record<string, string[]> | undefined): boolean {
  return !Object.values(versions ?? {}).some((labels) => labels.includes(FINISHED_LABEL));
}

/** Labels the current version: its rotation has ended. Two calls. Where that fails the next rotation is as careful as the first. */
export async function labelFinished(client: SecretsManagerClient, arn: string): Promise<void> {
  try {
    const stages = await stagesOf(client, arn);
    const current = stages.with('AWSCURRENT');
    const before = stages.with(FINISHED_LABEL);
    if (current === undefined || before === current) return;
    await client.send(
      new UpdateSecretVersionStageCommand({
        SecretId: arn,
        VersionStage: FINISHED_LABEL,
        MoveToVersionId: current,
        ...(before !== undefined && { RemoveFromVersionId: before }),
      }),
    );
  } catch (error) {
    logger.warn(
      `The end of the rotation could not be noted in the secret's labels: ${error instanceof Error ? error.message : error}`,
    );
  }
}
