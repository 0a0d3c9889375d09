import type { DurableContext } from '@aws/durable-execution-sdk-js';
import type { ECSClient } from '@aws-sdk/client-ecs';
import { describeServices, type ServiceAddress, whyUnsteady } from '../containers/services.ts';
import { lookUntil } from './look-until.ts';

/** Why the services are not steady, when the time for waiting is over; `null` when they are. */
export function waitUntilSteady(
  context: DurableContext,
  ecs: ECSClient,
  services: ServiceAddress[],
  limits: { timeoutSeconds: number; endBy: number },
): Promise<string | null> {
  const look = () => unsteadiness(ecs, services);
  return lookUntil(context, 'the services are steady', look, {
    good: (reason) => reason === null,
    ...limits,
  });
}

async function unsteadiness(ecs: ECSClient, addresses: ServiceAddress[]): Promise<string | null> {
  const services = await describeServices(ecs, addresses);
  const [reason = null] = services.flatMap((service) => whyUnsteady(service) ?? []);
  return reason;
}
