import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ECSClient } from '@aws-sdk/client-ecs';
import type { CopyClients } from '../shared/database/credential/copies.ts';
import { currentSecret } from '../shared/database/credential/stored-secret.ts';
import type { Problem } from '../shared/run/report.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { planRoll, type RollablePlan } from './plan-roll.ts';
import {
  refusedProblem,
  staleReplicaProblem,
  unnamedServiceProblem,
  unwritableCopyProblem,
} from './problems.ts';
import { inspectSecret } from './rotate.ts';
import { tryCopies } from './try-copies.ts';
import { findUnnamedUsers } from './unnamed-users.ts';

/** What is known of the services, the copies and the secret before anything is changed. */
export interface Preflight {
  /** In the order of the services. */
  plans: RollablePlan[];
  /** Sentences for people, of what may go wrong. */
  warnings: string[];
  /** Why nothing is begun; empty where nothing speaks against it. */
  problems: Problem[];
}

/** Looks for everything that would stop the rotation halfway, or lock somebody out after it. */
export function preflight(
  context: DurableContext,
  settings: CredentialRotationSettings,
  clients: CopyClients & { ecs: ECSClient },
): Promise<Preflight> {
  return context.step('plan the roll', () => look(settings, clients));
}

async function look(
  settings: CredentialRotationSettings,
  clients: CopyClients & { ecs: ECSClient },
): Promise<Preflight> {
  const { deployment, secretArn } = settings;
  const { ecs, secretsManager } = clients;
  const { secret } = await currentSecret(secretsManager, secretArn);
  const plans = await planRoll(ecs, settings, secret);
  const unnamed = await findUnnamedUsers(ecs, settings, secret);
  const { staleReplicas } = await inspectSecret(secretsManager, secretArn);
  const unwritable = await tryCopies(settings, clients);
  return {
    plans: plans.filter((plan) => plan.kind !== 'refused'),
    warnings: unnamed.tasks.map(
      ({ id }) =>
        `The task ${id} belongs to no service and is given the credential: as long as it lives the old one is not retired.`,
    ),
    problems: [
      ...plans.flatMap((plan) => (plan.kind === 'refused' ? [refusedProblem(deployment, plan)] : [])),
      ...unnamed.services.map((service) => unnamedServiceProblem(settings, service)),
      ...staleReplicas
        .filter(({ status }) => status.startsWith('Failed'))
        .map((replica) => staleReplicaProblem(settings, replica)),
      ...unwritable.map((copy) => unwritableCopyProblem(deployment, copy)),
    ],
  };
}
