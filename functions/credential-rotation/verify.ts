import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ECSClient } from '@aws-sdk/client-ecs';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { olderTasks } from '../shared/containers/services.ts';
import type { RolledResult } from '../shared/roll/roll-service.ts';
import type { Problem } from '../shared/run/report.ts';
import {
  type ApplicationHealth,
  awaitConnected,
  type ConnectedParts,
  whyDisconnected,
} from './application-health.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { seeSessions } from './database.ts';
import type { Proof } from './judge-logins.ts';
import { addressesOf } from './plan-roll.ts';
import { disconnectedProblem, nobodyTriedProblem, noSessionProblem, unprovenProblem } from './problems.ts';
import { keptBecauseOf, nobodyTried } from './unproven.ts';

/** What speaks for and against the new credential, once every task has it. */
export interface Verification {
  connected?: ConnectedParts;
  /** Of the current user; `null`: the administrator may not see them. Absent: the database could not be asked. */
  sessions?: number | null;
  problems: Problem[];
  /** Whether the old credential may go. */
  good: boolean;
}

/** Asks the application, and the database, whether containers log in with the credential that they were given. */
export async function verify(
  context: DurableContext,
  settings: CredentialRotationSettings,
  { ecs, secretsManager }: { ecs: ECSClient; secretsManager: SecretsManagerClient },
  { endBy, services, isFirst }: { endBy: number; services: readonly RolledResult<Proof>[]; isFirst: boolean },
  before?: { application: ApplicationHealth; connected: ConnectedParts },
): Promise<Verification> {
  const verification: Verification = { problems: [], good: true };
  if (before) {
    const limits = { timeoutSeconds: settings.steadyTimeoutSeconds, endBy };
    verification.connected = await awaitConnected(context, before.application, before.connected, limits);
    const why = whyDisconnected(verification.connected);
    if (why !== undefined) {
      verification.problems.push(disconnectedProblem(settings, why));
      verification.good = false;
    }
  }
  if (nobodyTried(services)) {
    verification.problems.push(nobodyTriedProblem(settings));
    // Where the containers read it from has never been seen to be right.
    if (isFirst && settings.strategy.kind !== 'single-password' && settings.whenUnproven !== 'retire')
      verification.good = false;
    return verification;
  }
  if (services.every(({ proof }) => proof?.answer === 'proven')) return verification;
  for (const kept of keptBecauseOf(settings, services, isFirst)) {
    verification.problems.push(unprovenProblem(settings, kept));
    verification.good = false;
  }
  if (settings.strategy.kind === 'dual-password' || verification.problems.length > 0) return verification;
  const seen = await seeSessions(context, settings, secretsManager);
  if (seen.kind === 'failed') return verification;
  verification.sessions = seen.value;
  if (seen.value !== 0 || !(await tasksRun(context, settings, ecs))) return verification;
  const tells = settings.strategy.kind === 'alternating-users';
  verification.problems.push(noSessionProblem(settings, tells));
  if (tells) verification.good = false;
  return verification;
}

function tasksRun(
  context: DurableContext,
  settings: CredentialRotationSettings,
  ecs: ECSClient,
): Promise<boolean> {
  return context.step('look whether tasks run', async () => {
    const tasks = await olderTasks(ecs, addressesOf(settings), Number.POSITIVE_INFINITY);
    return tasks.length > 0;
  });
}
