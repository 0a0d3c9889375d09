import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ECSClient } from '@aws-sdk/client-ecs';
import type { CredentialRotationSettings } from './contract.ts';
import { lookUntil } from './look-until.ts';
import { describeServices, whyUnsteady } from './services.ts';

/** Why the services are not steady, when the time for waiting is over; `null` when they are. */
export function waitUntilSteady(
  context: DurableContext,
  { clusterArn, services, steadyTimeoutSeconds }: CredentialRotationSettings,
  ecs: ECSClient,
  endBy: number,
): Promise<string | null> {
  const names = services.map(({ name }) => name);
  const look = () => unsteadiness(ecs, clusterArn, names);
  return lookUntil(context, 'the services are steady', look, {
    good: (reason) => reason === null,
    timeoutSeconds: steadyTimeoutSeconds,
    endBy,
  });
}

async function unsteadiness(ecs: ECSClient, cluster: string, names: string[]): Promise<string | null> {
  const services = await describeServices(ecs, cluster, names);
  const [reason = null] = services.flatMap((service) => whyUnsteady(service) ?? []);
  return reason;
}
