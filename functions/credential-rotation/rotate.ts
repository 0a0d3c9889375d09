import { randomUUID } from 'node:crypto';
import type { DurableContext } from '@aws/durable-execution-sdk-js';
import {
  DescribeSecretCommand,
  RotateSecretCommand,
  type SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { currentSecret } from '../shared/database/credential/stored-secret.ts';
import { atMostOnce } from '../shared/run/at-most-once.ts';
import type { CredentialRotationSettings } from './contract.ts';

import { explainRotation, undoAbandoned } from './database.ts';
import { isFirstRotation, isSettled, isTold } from './first-rotation.ts';

/** The secret, without its value. */
export interface SecretInspection {
  currentVersion: string;
  /** When the current version was made. Epoch milliseconds. */
  currentSince: number;
  /** The version of a rotation that has begun and not ended. */
  pendingVersion?: string;
  /** Anything about the secret, its labels too. Epoch milliseconds. */
  changedAt: number;
  /** No rotation of it has ended yet. */
  isFirst: boolean;
  /** No rotation can have left another password in the database than that of the current version. */
  isSettled: boolean;
  /** It was told in an earlier run that somebody has given the user a second password. */
  isTold: boolean;
  /** Regions whose replica does not hold the same, with what Secrets Manager says of it. */
  staleReplicas: { region: string; status: string }[];
  lookedAt: number;
}

const LOOK_SECONDS = 10;

/** Three facts about the secret: two calls. */
export async function inspectSecret(client: SecretsManagerClient, arn: string): Promise<SecretInspection> {
  const { versionId: currentVersion, createdAt } = await currentSecret(client, arn);
  const described = await client.send(new DescribeSecretCommand({ SecretId: arn }));
  const changedAt = described.LastChangedDate?.getTime() ?? Date.now();
  const pendingVersion = versionWith(described.VersionIdsToStages, 'AWSPENDING');
  return {
    currentVersion,
    currentSince: createdAt ?? changedAt,
    ...(pendingVersion !== undefined && pendingVersion !== currentVersion && { pendingVersion }),
    changedAt,
    isFirst: isFirstRotation(described.VersionIdsToStages),
    isSettled: isSettled(described.VersionIdsToStages),
    isTold: isTold(described.VersionIdsToStages),
    staleReplicas: (described.ReplicationStatus ?? []).flatMap(
      ({ Region: region = '', Status: status = '', StatusMessage: message }) =>
        status === 'InSync' ? [] : [{ region, status: message ? `${status}: ${message}` : status }],
    ),
    lookedAt: Date.now(),
  };
}

/** Gives a rotation that somebody else began its time. What is still pending then was abandoned. */
export function waitForOthers(
  context: DurableContext,
  { secretArn, rotationTimeoutSeconds }: CredentialRotationSettings,
  client: SecretsManagerClient,
  found: SecretInspection,
): Promise<SecretInspection> {
  const deadline = found.lookedAt + rotationTimeoutSeconds * 1000;
  return context.waitForCondition('the rotation in flight ends', () => inspectSecret(client, secretArn), {
    initialState: found,
    waitStrategy: ({ pendingVersion, lookedAt }) =>
      pendingVersion === undefined || lookedAt >= deadline
        ? { shouldContinue: false }
        : { shouldContinue: true, delay: { seconds: LOOK_SECONDS } },
  });
}

/** Has Secrets Manager rotate the secret, and waits for the end. `undefined`: it succeeded. Otherwise why not. */
export async function rotate(
  context: DurableContext,
  settings: CredentialRotationSettings,
  client: SecretsManagerClient,
  abandoned: string | undefined,
): Promise<string | undefined> {
  const { secretArn, rotationTimeoutSeconds } = settings;
  if (abandoned !== undefined) {
    // Where it fails the rotation is refused, and the retirement after the roll closes that user.
    await undoAbandoned(context, settings, client, abandoned);
    await context.step('give up the abandoned rotation', async () => {
      const { pendingVersion } = await inspectSecret(client, secretArn);
      if (pendingVersion !== abandoned) return;
      await client.send(
        new UpdateSecretVersionStageCommand({
          SecretId: secretArn,
          VersionStage: 'AWSPENDING',
          RemoveFromVersionId: abandoned,
        }),
      );
    });
  }
  const { version, began } = await context.step('name the new version', async () => ({
    version: randomUUID(),
    began: Date.now(),
  }));
  const start = () => requestRotation(client, secretArn, version);
  const started = await atMostOnce(context, 'start the rotation', start);
  // The service takes the same version's request once, so that asking again is asking whether it was heard.
  if (started.kind === 'interrupted') await context.step('start the rotation after the interruption', start);

  const deadline = began + rotationTimeoutSeconds * 1000;
  const end = await context.waitForCondition(
    'the four steps end',
    async () => lookAt(client, secretArn, version),
    {
      initialState: { kind: 'pending', at: began } as RotationLook,
      waitStrategy: ({ kind, at }) =>
        kind !== 'pending' || at >= deadline
          ? { shouldContinue: false }
          : { shouldContinue: true, delay: { seconds: LOOK_SECONDS } },
    },
  );
  switch (end.kind) {
    case 'current':
      return undefined;
    case 'gone':
      return `Somebody took the label AWSPENDING from the version ${version} while it was rotated.`;
    case 'pending': {
      const why = await explainRotation(context, settings, client, version);
      return `The four steps of the rotation (version ${version}) did not succeed within ${rotationTimeoutSeconds} seconds. ${why.kind === 'done' ? why.value : why.message}`;
    }
  }
}

async function requestRotation(client: SecretsManagerClient, arn: string, version: string): Promise<void> {
  await client.send(new RotateSecretCommand({ SecretId: arn, ClientRequestToken: version }));
}

interface RotationLook {
  kind: 'current' | 'pending' | 'gone';
  at: number;
}

async function lookAt(client: SecretsManagerClient, arn: string, version: string): Promise<RotationLook> {
  const { VersionIdsToStages: versions } = await client.send(new DescribeSecretCommand({ SecretId: arn }));
  const labels = versions?.[version] ?? [];
  const kind = labels.includes('AWSCURRENT') ? 'current' : labels.includes('AWSPENDING') ? 'pending' : 'gone';
  return { kind, at: Date.now() };
}

function versionWith(versions: Record<string, string[]> | undefined, label: string): string | undefined {
  return Object.keys(versions ?? {}).find((id) => versions?.[id]?.includes(label));
}
