import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ECSClient } from '@aws-sdk/client-ecs';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { olderTasks } from '../shared/containers/services.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { type DatabaseState, inspectDatabase, type Tried } from './database.ts';
import { addressesOf } from './plan-roll.ts';
import { inspectSecret, type SecretInspection, waitForOthers } from './rotate.ts';

/** What is found before anything is changed. */
export interface Inspection {
  secret: SecretInspection;
  database: Tried<DatabaseState>;
  /** An earlier run, or a rotation by hand, has left something to finish. */
  unfinished: boolean;
  /** Somebody has given the user a second password, which no rotation has left: it is theirs until a rotation is due. */
  isRetainedByOthers: boolean;
}

/** Looks at the secret, after giving a rotation in flight its time, and at the database. */
export async function inspect(
  context: DurableContext,
  settings: CredentialRotationSettings,
  { ecs, secretsManager }: { ecs: ECSClient; secretsManager: SecretsManagerClient },
): Promise<Inspection> {
  const look = () => inspectSecret(secretsManager, settings.secretArn);
  const first = await context.step('look at the secret', look);
  const secret = first.pendingVersion ? await waitForOthers(context, settings, secretsManager, first) : first;
  const database = await inspectDatabase(context, settings, secretsManager);
  const found = database.kind === 'done' && database.value.retained;
  const isRetainedByOthers = found && settings.strategy.kind === 'dual-password' && secret.isSettled;
  const retained = found && !isRetainedByOthers;
  return {
    secret,
    database: database.kind === 'done' ? { kind: 'done', value: { ...database.value, retained } } : database,
    isRetainedByOthers,
    unfinished: retained || (await hasUnrolledTasks(context, settings, ecs, secret)),
  };
}

/** With one password alone the database does not tell that an earlier roll was stopped: the tasks do. */
async function hasUnrolledTasks(
  context: DurableContext,
  settings: CredentialRotationSettings,
  ecs: ECSClient,
  { currentSince }: SecretInspection,
): Promise<boolean> {
  if (settings.strategy.kind !== 'single-password') return false;
  const found = await context.step('look for tasks with the old password', async () => {
    const { length } = await olderTasks(ecs, addressesOf(settings), currentSince);
    return length;
  });
  return found > 0;
}
