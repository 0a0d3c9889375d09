import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ECSClient } from '@aws-sdk/client-ecs';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { currentSecret, findSecret } from '../shared/database/credential/stored-secret.ts';
import { lookUntil } from '../shared/roll/look-until.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { inspectSecret } from './rotate.ts';
import { findUnnamedUsers } from './unnamed-users.ts';

/**
 * Waits for what may still have the old credential and belongs to no service: tasks that RunTask has started, and replicas
 * of the secret in other regions.
 * @returns in sentences for people, what was still there in the end
 */
export function waitForTheRest(
  context: DurableContext,
  settings: CredentialRotationSettings,
  clients: { ecs: ECSClient; secretsManager: SecretsManagerClient },
  { deliveredAt, endBy }: { deliveredAt: number; endBy: number },
): Promise<string[]> {
  return lookUntil(
    context,
    'nothing else has the old credential',
    () => leftBehind(settings, clients, deliveredAt),
    {
      good: (left) => left.length === 0,
      timeoutSeconds: settings.steadyTimeoutSeconds,
      endBy,
      evermoreRarely: true,
    },
  );
}

async function leftBehind(
  settings: CredentialRotationSettings,
  { ecs, secretsManager }: { ecs: ECSClient; secretsManager: SecretsManagerClient },
  deliveredAt: number,
): Promise<string[]> {
  const { secret } = await currentSecret(secretsManager, settings.secretArn);
  const previous = await findSecret(secretsManager, settings.secretArn, { stage: 'AWSPREVIOUS' });
  const old = previous?.secret.password === secret.password ? undefined : previous?.secret;
  const { tasks } = await findUnnamedUsers(ecs, settings, secret, old);
  const { staleReplicas } = await inspectSecret(secretsManager, settings.secretArn);
  return [
    ...tasks
      .filter(({ createdAt, hasOld }) => hasOld || createdAt < deliveredAt)
      .map(({ id }) => `The task ${id}, which belongs to no service, was given the old one and still lives.`),
    ...staleReplicas.map(
      ({ region, status }) => `The secret's replica in ${region} does not have the new one yet (${status}).`,
    ),
  ];
}
