import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ECSClient } from '@aws-sdk/client-ecs';
import { describeServices, type ServiceAddress, whyUnsteady } from '../shared/containers/services.ts';
import type { CredentialRotationSettings } from './contract.ts';
import { lookUntil } from './look-until.ts';
import { addressesOf } from './plan-roll.ts';

/** Why the services are not steady, when the time for waiting is over; `null` when they are. */
export function waitUntilSteady(
  context: DurableContext,
  settings: CredentialRotationSettings,
  ecs: ECSClient,
  endBy: number,
): Promise<string | null> {
  const services = addressesOf(settings);
  const look = () => unsteadiness(ecs, services);
  return lookUntil(context, 'the services are steady', look, {
    good: (reason) => reason === null,
    timeoutSeconds: settings.steadyTimeoutSeconds,
    endBy,
  });
}

async function unsteadiness(ecs: ECSClient, addresses: ServiceAddress[]): Promise<string | null> {
  const services = await describeServices(ecs, addresses);
  const [reason = null] = services.flatMap((service) => whyUnsteady(service) ?? []);
  return reason;
}
